# SPDX-License-Identifier: GPL-2.0-or-later
# Everything is done by lab/snp; these are its names for `make`.
HOST ?= ours

all: machine linux

machine linux:
	lab/snp build $@

run:
	lab/snp run --host $(HOST)

check:
	lab/snp check

check-full:
	lab/snp check --full

bench:
	lab/snp bench

soak:
	lab/snp soak

counts:
	lab/snp counts --both

series:
	lab/snp series

series-check:
	lab/snp series --check

deb:
	lab/snp deb

clean:
	lab/snp clean --yes

.PHONY: all machine linux run check check-full bench counts soak series series-check deb
.PHONY: clean
