#include "CHDF5Reader.h"
