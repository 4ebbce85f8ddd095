// Lists groups, datasets and attributes of an image.
#include <stdio.h>

#include "internal.h"

enum { DEEPEST = 100, LONGEST_PATH = 1 << 16, MOST_LINKS = 4000000, MOST_RANK = 32 };

static struct {
  char path[LONGEST_PATH + 1];
  size_t length;
  int depth;
  uint64_t links;
  uint64_t file_size;
  hsize_t user_block;
  // Addresses of the groups on the way and done: a hash set, so that a second link to a group, or
  // a loop, is listed and not followed.
  haddr_t *visited;
  size_t visited_count, visited_capacity;
} state;

// Whether the group at `address` is seen for the first time.
static int first_visit(haddr_t address) {
  if (state.visited_count * 2 >= state.visited_capacity) {
    size_t capacity = state.visited_capacity ? state.visited_capacity * 2 : 1024;
    haddr_t *visited = malloc(capacity * sizeof(haddr_t));
    if (!visited) fail("the reading process ran out of memory");
    memset(visited, 0xff, capacity * sizeof(haddr_t));
    for (size_t i = 0; i < state.visited_capacity; i++) {
      if (state.visited[i] == HADDR_UNDEF) continue;
      size_t slot = (size_t)(state.visited[i] * 0x9e3779b97f4a7c15u) & (capacity - 1);
      while (visited[slot] != HADDR_UNDEF) slot = (slot + 1) & (capacity - 1);
      visited[slot] = state.visited[i];
    }
    free(state.visited);
    state.visited = visited;
    state.visited_capacity = capacity;
  }
  size_t slot = (size_t)(address * 0x9e3779b97f4a7c15u) & (state.visited_capacity - 1);
  while (state.visited[slot] != HADDR_UNDEF) {
    if (state.visited[slot] == address) return 0;
    slot = (slot + 1) & (state.visited_capacity - 1);
  }
  state.visited[slot] = address;
  state.visited_count++;
  return 1;
}

static const char *filter_name(H5Z_filter_t filter, const char *stored) {
  switch (filter) {
    case H5Z_FILTER_DEFLATE: return "gzip";
    case H5Z_FILTER_SHUFFLE: return "shuffle";
    case H5Z_FILTER_FLETCHER32: return "fletcher32";
    case H5Z_FILTER_SZIP: return "szip";
    case H5Z_FILTER_NBIT: return "nbit";
    case H5Z_FILTER_SCALEOFFSET: return "scaleoffset";
    case 32000: return "lzf";
    case 32001: return "blosc";
    case 32004: return "lz4";
    case 32008: return "bitshuffle";
    case 32015: return "zstd";
    case 32026: return "blosc2";
    default: return stored[0] ? stored : "unnamed";
  }
}

// How a dataset that is not plainly contiguous is kept; 0 when it cannot be read.
static int describe_storage(hid_t dataset, uint8_t *layout, char *filters, size_t size) {
  hid_t creation = H5Dget_create_plist(dataset);
  if (creation < 0) {
    send_unreadable_hdf5(state.path, "", "its storage cannot be read");
    return 0;
  }
  const char *reason = NULL;
  char text[300];
  switch (H5Pget_layout(creation)) {
    case H5D_CONTIGUOUS:
      *layout = CKPT_HDF5_UNALLOCATED;
      if (H5Pget_external_count(creation) != 0) reason = "its bytes are in another file";
      break;
    case H5D_COMPACT: *layout = CKPT_HDF5_COMPACT; break;
    case H5D_CHUNKED: *layout = CKPT_HDF5_CHUNKED; break;
    case H5D_VIRTUAL: reason = "it is a view of other files (a virtual dataset)"; break;
    default: reason = "its storage layout is not known"; break;
  }
  int count = reason ? 0 : H5Pget_nfilters(creation);
  filters[0] = 0;
  for (int i = 0; i < count && !reason; i++) {
    unsigned flags = 0, config = 0;
    size_t values = 0;
    char stored[64] = "";
    H5Z_filter_t filter =
        H5Pget_filter2(creation, (unsigned)i, &flags, &values, NULL, sizeof stored - 1, stored, &config);
    const char *name = filter_name(filter, stored);
    if (filter < 0 || H5Zfilter_avail(filter) <= 0) {
      snprintf(text, sizeof text, "it is packed with the HDF5 filter %s (number %d), which is not built in",
               name, (int)filter);
      reason = text;
    }
    size_t used = strlen(filters);
    snprintf(filters + used, size - used, "%s%s", i > 0 ? "+" : "", name);
  }
  H5Eclear2(H5E_DEFAULT);
  H5Pclose(creation);
  if (reason) send_unreadable(state.path, "", reason);
  return reason == NULL;
}

static void send_dataset(hid_t dataset) {
  hid_t type = H5Dget_type(dataset), space = H5Dget_space(dataset);
  int big = 0, rank = -1;
  const char *reason = NULL;
  hsize_t extents[MOST_RANK] = {0};
  if (type < 0 || space < 0 || (rank = H5Sget_simple_extent_ndims(space)) < 0 || rank > MOST_RANK ||
      H5Sget_simple_extent_dims(space, extents, NULL) < 0) {
    send_unreadable_hdf5(state.path, "", "its type or shape cannot be read");
  } else {
    int dtype = type_classify(type, &big, &reason);
    if (dtype != CKPT_HDF5_NONE && H5Sget_simple_extent_type(space) == H5S_NULL) {
      dtype = CKPT_HDF5_NONE;
      reason = "it has no elements and no shape (a null dataspace)";
    }
    haddr_t offset = H5Dget_offset(dataset);
    uint8_t layout = CKPT_HDF5_CONTIGUOUS;
    char filters[400] = "";
    int listed = 1;
    if (dtype == CKPT_HDF5_NONE) {
      send_unreadable(state.path, "", reason);
      listed = 0;
    } else if (offset == HADDR_UNDEF || offset < state.user_block) {
      // libhdf5 adds the user block to an undefined address, which then wraps around.
      listed = describe_storage(dataset, &layout, filters, sizeof filters);
    }
    if (listed) {
      stream_begin(CKPT_HDF5_DATASET);
      stream_string(state.path);
      stream_byte((uint8_t)dtype);
      stream_byte((uint8_t)big);
      send_shape(rank, extents);
      stream_byte(layout);
      stream_u64(layout == CKPT_HDF5_CONTIGUOUS ? offset : 0);
      stream_u64(H5Dget_storage_size(dataset));
      stream_string(filters);
      stream_end();
      attributes_send(dataset, state.path, state.file_size);
    }
  }
  H5Eclear2(H5E_DEFAULT);
  if (type >= 0) H5Tclose(type);
  if (space >= 0) H5Sclose(space);
}

static void send_group(hid_t group);

static void send_hard_link(hid_t parent, const char *name, haddr_t address) {
  hid_t object = H5Oopen(parent, name, H5P_DEFAULT);
  if (object < 0) {
    send_unreadable_hdf5(state.path, "", "it cannot be opened");
    return;
  }
  switch (H5Iget_type(object)) {
    case H5I_GROUP:
      if (!first_visit(address))
        send_unreadable(state.path, "", "it is a second link to a group that is listed already");
      else if (state.depth >= DEEPEST)
        send_unreadable(state.path, "", "its groups are nested more than 100 deep");
      else
        send_group(object);
      break;
    case H5I_DATASET: send_dataset(object); break;
    default: send_unreadable(state.path, "", "it is a named type, no tensor"); break;
  }
  H5Oclose(object);
}

static herr_t on_link(hid_t parent, const char *name, const H5L_info_t *info, void *data) {
  (void)data;
  if (++state.links > MOST_LINKS) fail("it has more than 4,000,000 links");
  size_t before = state.length, length = strlen(name);
  if (before + 1 + length > LONGEST_PATH) {
    send_unreadable(state.path, "", "a path in it is longer than 65,536 bytes");
    return 0;
  }
  if (before > 0) state.path[state.length++] = '/';
  memcpy(state.path + state.length, name, length + 1);
  state.length += length;
  if (length == 0 || strcmp(name, ".") == 0 || strchr(name, '/'))
    send_unreadable(state.path, "", "its name is not valid");
  else if (info->type == H5L_TYPE_HARD)
    send_hard_link(parent, name, info->u.address);
  else if (info->type == H5L_TYPE_SOFT)
    send_unreadable(state.path, "", "it is a soft link, which is not followed");
  else if (info->type == H5L_TYPE_EXTERNAL)
    send_unreadable(state.path, "", "it is a link to another file, which is not followed");
  else
    send_unreadable(state.path, "", "it is a link of an unknown kind");
  state.length = before;
  state.path[before] = 0;
  return 0;
}

static void send_group(hid_t group) {
  stream_begin(CKPT_HDF5_GROUP);
  stream_string(state.path);
  stream_end();
  attributes_send(group, state.path, state.file_size);
  state.depth++;
  if (H5Literate(group, H5_INDEX_NAME, H5_ITER_NATIVE, NULL, on_link, NULL) < 0)
    send_unreadable_hdf5(state.path, "", "its members cannot all be listed");
  state.depth--;
}

void index_send(const struct ckpt_hdf5_image *image) {
  hid_t file = image_open(image);
  state.file_size = image->length;
  hid_t creation = H5Fget_create_plist(file);
  if (creation < 0 || H5Pget_userblock(creation, &state.user_block) < 0)
    fail_hdf5("its creation properties cannot be read");
  H5Pclose(creation);
  hid_t root = H5Gopen2(file, "/", H5P_DEFAULT);
  H5O_info_t info;
  if (root < 0 || H5Oget_info(root, &info) < 0) fail_hdf5("its root group cannot be opened");
  first_visit(info.addr);
  send_group(root);
}
