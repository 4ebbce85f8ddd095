// Element types and error texts; used by the child and by the writing parent.
#include <stdio.h>

#include "internal.h"

// A float type with `exponent` and `mantissa` bits below its sign bit, in `size` bytes.
static hid_t small_float(size_t exponent, size_t mantissa) {
  hid_t type = H5Tcopy(H5T_IEEE_F32LE);
  if (type < 0) return type;
  if (H5Tset_fields(type, exponent + mantissa, mantissa, exponent, 0, mantissa) < 0 ||
      H5Tset_size(type, 2) < 0 ||
      H5Tset_ebias(type, ((size_t)1 << (exponent - 1)) - 1) < 0) {
    H5Tclose(type);
    return -1;
  }
  return type;
}

static hid_t boolean(void) {
  hid_t type = H5Tenum_create(H5T_STD_I8LE);
  if (type < 0) return type;
  signed char no = 0, yes = 1;
  if (H5Tenum_insert(type, "FALSE", &no) < 0 || H5Tenum_insert(type, "TRUE", &yes) < 0) {
    H5Tclose(type);
    return -1;
  }
  return type;
}

// A compound of two floats of the type `part`.
static hid_t complex_of(hid_t part) {
  size_t size = H5Tget_size(part);
  hid_t type = H5Tcreate(H5T_COMPOUND, 2 * size);
  if (type < 0) return type;
  if (H5Tinsert(type, "r", 0, part) < 0 || H5Tinsert(type, "i", size, part) < 0) {
    H5Tclose(type);
    return -1;
  }
  return type;
}

int64_t ckpt_hdf5_type(int dtype) {
  switch (dtype) {
    case CKPT_HDF5_F64: return H5Tcopy(H5T_IEEE_F64LE);
    case CKPT_HDF5_F32: return H5Tcopy(H5T_IEEE_F32LE);
    case CKPT_HDF5_F16: return small_float(5, 10);
    case CKPT_HDF5_BF16: return small_float(8, 7);
    case CKPT_HDF5_I64: return H5Tcopy(H5T_STD_I64LE);
    case CKPT_HDF5_I32: return H5Tcopy(H5T_STD_I32LE);
    case CKPT_HDF5_I16: return H5Tcopy(H5T_STD_I16LE);
    case CKPT_HDF5_I8: return H5Tcopy(H5T_STD_I8LE);
    case CKPT_HDF5_U64: return H5Tcopy(H5T_STD_U64LE);
    case CKPT_HDF5_U32: return H5Tcopy(H5T_STD_U32LE);
    case CKPT_HDF5_U16: return H5Tcopy(H5T_STD_U16LE);
    case CKPT_HDF5_U8: return H5Tcopy(H5T_STD_U8LE);
    case CKPT_HDF5_BOOL: return boolean();
    case CKPT_HDF5_C64: return complex_of(H5T_IEEE_F32LE);
    case CKPT_HDF5_C128: return complex_of(H5T_IEEE_F64LE);
    case CKPT_HDF5_OPAQUE2: return H5Tcreate(H5T_OPAQUE, 2);
    default: return -1;
  }
}

// Whether `type` is the element type `dtype` in either byte order.
static int is_type(hid_t type, int dtype, int *big) {
  static hid_t little[CKPT_HDF5_C128 + 1], other[CKPT_HDF5_C128 + 1];
  if (little[dtype] == 0) {
    little[dtype] = ckpt_hdf5_type(dtype);
    switch (dtype) {
      case CKPT_HDF5_BOOL: other[dtype] = -1; break;
      case CKPT_HDF5_C64: other[dtype] = complex_of(H5T_IEEE_F32BE); break;
      case CKPT_HDF5_C128: other[dtype] = complex_of(H5T_IEEE_F64BE); break;
      default:
        other[dtype] = H5Tcopy(little[dtype]);
        if (other[dtype] >= 0) H5Tset_order(other[dtype], H5T_ORDER_BE);
    }
  }
  *big = 0;
  if (H5Tequal(type, little[dtype]) > 0) return 1;
  *big = 1;
  if (other[dtype] >= 0 && H5Tequal(type, other[dtype]) > 0) return 1;
  *big = 0;
  return 0;
}

static int first_of(hid_t type, const int *dtypes, int *big) {
  for (; *dtypes != CKPT_HDF5_NONE; dtypes++)
    if (is_type(type, *dtypes, big)) return *dtypes;
  return CKPT_HDF5_NONE;
}

int type_classify(hid_t type, int *big, const char **reason) {
  static const int floats[] = {CKPT_HDF5_F32, CKPT_HDF5_F64, CKPT_HDF5_F16, CKPT_HDF5_BF16, 0};
  static const int integers[] = {CKPT_HDF5_I64, CKPT_HDF5_I32, CKPT_HDF5_I16,
                                 CKPT_HDF5_I8,  CKPT_HDF5_U64, CKPT_HDF5_U32,
                                 CKPT_HDF5_U16, CKPT_HDF5_U8,  0};
  static const int complex[] = {CKPT_HDF5_C64, CKPT_HDF5_C128, 0};
  *big = 0;
  *reason = NULL;
  int dtype = CKPT_HDF5_NONE;
  switch (H5Tget_class(type)) {
    case H5T_FLOAT:
      dtype = first_of(type, floats, big);
      *reason = "its float type is none of f64, f32, f16, bf16";
      break;
    case H5T_INTEGER:
      dtype = first_of(type, integers, big);
      *reason = "its integer type does not have 8, 16, 32 or 64 whole bits";
      break;
    case H5T_ENUM:
      dtype = is_type(type, CKPT_HDF5_BOOL, big) ? CKPT_HDF5_BOOL : CKPT_HDF5_NONE;
      *reason = "it holds an enumeration other than FALSE and TRUE";
      break;
    case H5T_OPAQUE:
      if (H5Tget_size(type) == 2) dtype = CKPT_HDF5_OPAQUE2;
      *reason = "it holds opaque bytes, no numbers";
      break;
    case H5T_STRING: *reason = "it holds text, no numbers"; break;
    case H5T_COMPOUND:
      dtype = first_of(type, complex, big);
      *reason = "it holds compound values, no plain numbers";
      break;
    case H5T_REFERENCE: *reason = "it holds references, no numbers"; break;
    case H5T_VLEN: *reason = "it holds sequences of varying length"; break;
    case H5T_ARRAY: *reason = "its elements are arrays"; break;
    case H5T_BITFIELD: *reason = "it holds bit fields, no numbers"; break;
    case H5T_TIME: *reason = "it holds times, no numbers"; break;
    default: *reason = "its type is not known"; break;
  }
  return dtype;
}

struct texts {
  char outer[400], inner[400];
};

static herr_t collect(unsigned depth, const H5E_error2_t *error, void *data) {
  struct texts *texts = data;
  const char *text = error->desc ? error->desc : "";
  if (depth == 0) snprintf(texts->outer, sizeof texts->outer, "%s", text);
  snprintf(texts->inner, sizeof texts->inner, "%s", text);
  return 0;
}

const char *ckpt_hdf5_error(char *text, size_t size) {
  struct texts texts = {"", ""};
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_DOWNWARD, collect, &texts);
  H5Eclear2(H5E_DEFAULT);
  if (texts.outer[0] == 0)
    snprintf(text, size, "no reason is given");
  else if (strcmp(texts.outer, texts.inner) == 0)
    snprintf(text, size, "%s", texts.outer);
  else
    snprintf(text, size, "%s (%s)", texts.outer, texts.inner);
  return text;
}
