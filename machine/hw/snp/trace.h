#include "trace/trace-hw_snp.h"
