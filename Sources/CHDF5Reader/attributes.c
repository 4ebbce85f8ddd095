// Sends the attributes of an object, with everything that is needed to write them again.
#include "internal.h"

enum { MOST_RANK = 32 };

struct owner {
  const char *path;
  uint64_t file_size;  // bytes; no attribute of fixed-size elements can have more
};

// Everything that is open while one attribute is sent.
struct attribute {
  hid_t id, type, space, memory;
  int rank;
  hsize_t extents[MOST_RANK];
  hsize_t count;
};

static void send_text(struct attribute *it, const char *name, const char *path, uint64_t file_size) {
  htri_t variable = H5Tis_variable_str(it->type);
  size_t size = variable > 0 ? sizeof(char *) : H5Tget_size(it->type);
  H5T_str_t padding = H5Tget_strpad(it->type);
  // Every element takes bytes in the file: those of the text, or those of a heap reference.
  if (variable < 0 || size == 0 || it->count > file_size / size) {
    send_unreadable(path, name, "it claims more text than the file holds");
    return;
  }
  char *bytes = calloc(it->count ? it->count : 1, size);
  if (!bytes) fail("the reading process ran out of memory");
  if (it->count > 0 && H5Aread(it->id, it->type, bytes) < 0) {
    send_unreadable_hdf5(path, name, "its text cannot be read");
    free(bytes);
    return;
  }
  stream_begin(CKPT_HDF5_TEXT);
  stream_string(name);
  stream_byte(variable > 0);
  stream_u32(variable > 0 ? 0 : (uint32_t)size);
  stream_byte(H5Tget_cset(it->type) == H5T_CSET_UTF8);
  stream_byte(padding == H5T_STR_NULLPAD ? 1 : padding == H5T_STR_SPACEPAD ? 2 : 0);
  send_shape(it->rank, it->extents);
  for (hsize_t i = 0; i < it->count; i++) {
    const char *text = bytes + i * size;
    size_t length = size;
    if (variable > 0) {
      memcpy(&text, bytes + i * size, sizeof text);
      length = text ? strlen(text) : 0;
    } else if (padding == H5T_STR_NULLPAD || padding == H5T_STR_SPACEPAD) {
      char pad = padding == H5T_STR_NULLPAD ? 0 : ' ';
      while (length > 0 && text[length - 1] == pad) length--;
    } else {
      length = strnlen(text, size);
    }
    stream_text(text ? text : "", length);
  }
  stream_end();
  if (variable > 0 && it->count > 0) H5Dvlen_reclaim(it->type, it->space, H5P_DEFAULT, bytes);
  free(bytes);
}

static void send_numbers(struct attribute *it, const char *name, const char *path,
                         uint64_t file_size) {
  int big = 0;
  const char *reason = NULL;
  int dtype = type_classify(it->type, &big, &reason);
  if (dtype == CKPT_HDF5_NONE || dtype == CKPT_HDF5_OPAQUE2) {
    send_unreadable(path, name, reason);
    return;
  }
  size_t size = H5Tget_size(it->type);
  if (it->count > file_size / size) {
    send_unreadable(path, name, "it claims more elements than the file holds");
    return;
  }
  it->memory = ckpt_hdf5_type(dtype);
  uint8_t *bytes = calloc(it->count ? it->count : 1, size);
  if (!bytes) fail("the reading process ran out of memory");
  if (it->count > 0 && H5Aread(it->id, it->memory, bytes) < 0) {
    send_unreadable_hdf5(path, name, "its elements cannot be read");
  } else {
    stream_begin(CKPT_HDF5_NUMBERS);
    stream_string(name);
    stream_byte((uint8_t)dtype);
    send_shape(it->rank, it->extents);
    stream_bytes(bytes, it->count * size);
    stream_end();
  }
  free(bytes);
}

static herr_t on_attribute(hid_t object, const char *name, const H5A_info_t *info, void *data) {
  (void)info;
  const struct owner *owner = data;
  struct attribute it = {.type = -1, .space = -1, .memory = -1};
  it.id = H5Aopen(object, name, H5P_DEFAULT);
  if (it.id >= 0) it.type = H5Aget_type(it.id);
  if (it.id >= 0) it.space = H5Aget_space(it.id);
  H5S_class_t extent = it.space >= 0 ? H5Sget_simple_extent_type(it.space) : H5S_NO_CLASS;
  if (it.type < 0 || extent == H5S_NO_CLASS) {
    send_unreadable_hdf5(owner->path, name, "the attribute cannot be opened");
  } else if (extent == H5S_NULL) {
    send_unreadable(owner->path, name, "the attribute has a type but no value (a null dataspace)");
  } else if ((it.rank = H5Sget_simple_extent_ndims(it.space)) < 0 || it.rank > MOST_RANK ||
             H5Sget_simple_extent_dims(it.space, it.extents, NULL) < 0) {
    send_unreadable_hdf5(owner->path, name, "the attribute's shape cannot be read");
  } else {
    // Damaged extents may overflow; the count is compared with the file before it is used.
    it.count = 1;
    for (int i = 0; i < it.rank; i++)
      if (__builtin_mul_overflow(it.count, it.extents[i], &it.count)) it.count = UINT64_MAX;
    for (int i = 0; i < it.rank; i++)
      if (it.extents[i] == 0) it.count = 0;
    if (H5Tget_class(it.type) == H5T_STRING)
      send_text(&it, name, owner->path, owner->file_size);
    else
      send_numbers(&it, name, owner->path, owner->file_size);
  }
  H5Eclear2(H5E_DEFAULT);
  if (it.memory >= 0) H5Tclose(it.memory);
  if (it.space >= 0) H5Sclose(it.space);
  if (it.type >= 0) H5Tclose(it.type);
  if (it.id >= 0) H5Aclose(it.id);
  return 0;
}

void attributes_send(hid_t object, const char *path, uint64_t file_size) {
  struct owner owner = {.path = path, .file_size = file_size};
  if (H5Aiterate2(object, H5_INDEX_NAME, H5_ITER_NATIVE, NULL, on_attribute, &owner) < 0)
    send_unreadable_hdf5(path, "", "its attributes cannot all be listed");
}
