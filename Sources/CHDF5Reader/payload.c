// Sends elements of a dataset that do not lie in the file as they are wanted.
#include "internal.h"

enum { MOST_RANK = 32 };

static struct {
  hid_t dataset, space, memory;
  int rank;
  size_t size;                     // bytes of an element
  hsize_t extents[MOST_RANK];
  hsize_t below[MOST_RANK];        // elements of one step along an axis
  uint64_t skip, left;             // bytes not to send from the first element on, and to send
  uint8_t *buffer;
  hsize_t piece;                   // elements that the buffer holds
} state;

static void send_elements(hsize_t count) {
  const uint8_t *bytes = state.buffer;
  uint64_t length = count * state.size;
  uint64_t skipped = state.skip < length ? state.skip : length;
  state.skip -= skipped;
  bytes += skipped;
  length -= skipped;
  if (length > state.left) length = state.left;
  state.left -= length;
  stream_begin(CKPT_HDF5_DATA);
  stream_bytes(bytes, length);
  stream_end();
  stream_flush();
}

// Reads up to `count` elements from element `first` on with one selection: steps along the
// outermost axis on whose boundary `first` lies. Returns how many.
static hsize_t read_block(hsize_t first, hsize_t count) {
  hsize_t start[MOST_RANK], length[MOST_RANK];
  int axis = 0;
  while (axis < state.rank - 1 && (first % state.below[axis] != 0 || state.below[axis] > count))
    axis++;
  hsize_t rest = first;
  for (int i = 0; i < state.rank; i++) {
    start[i] = rest / state.below[i];
    rest %= state.below[i];
    length[i] = i < axis ? 1 : state.extents[i];
  }
  hsize_t elements = 1;
  if (state.rank > 0) {
    hsize_t steps = count / state.below[axis];
    if (steps > state.extents[axis] - start[axis]) steps = state.extents[axis] - start[axis];
    if (steps == 0) steps = 1;
    length[axis] = steps;
    elements = steps * state.below[axis];
    if (H5Sselect_hyperslab(state.space, H5S_SELECT_SET, start, NULL, length, NULL) < 0)
      fail_hdf5("a part of it cannot be selected");
  }
  hid_t target = H5Screate_simple(1, &elements, NULL);
  if (target < 0 ||
      H5Dread(state.dataset, state.memory, target, state.space, H5P_DEFAULT, state.buffer) < 0)
    fail_hdf5("its elements cannot be read");
  H5Sclose(target);
  return elements;
}

// Lets every chunk be unpacked once: the cache holds what one step along the chunks needs.
static hid_t open_dataset(hid_t file, const char *path) {
  hid_t dataset = H5Dopen2(file, path, H5P_DEFAULT);
  if (dataset < 0) fail_hdf5("it cannot be opened");
  hid_t creation = H5Dget_create_plist(dataset), space = H5Dget_space(dataset);
  hsize_t chunk[MOST_RANK], extents[MOST_RANK];
  int rank = space >= 0 ? H5Sget_simple_extent_ndims(space) : -1;
  if (creation >= 0 && rank > 0 && rank <= MOST_RANK &&
      H5Pget_chunk(creation, MOST_RANK, chunk) == rank &&
      H5Sget_simple_extent_dims(space, extents, NULL) == rank) {
    double bytes = (double)H5Tget_size(state.memory) * (double)chunk[0];
    for (int i = 1; i < rank; i++) bytes *= (double)extents[i] + (double)chunk[i];
    size_t cache = bytes < 1 << 20 ? 1 << 20 : bytes > 256 << 20 ? 256 << 20 : (size_t)bytes;
    double chunks = 1;
    for (int i = 1; i < rank; i++) chunks *= (double)extents[i] / (double)chunk[i] + 2;
    size_t slots = chunks < 60 ? 127 : chunks < 6000 ? (size_t)chunks * 2 + 1 : 12421;
    hid_t access = H5Pcreate(H5P_DATASET_ACCESS);
    if (access >= 0 && H5Pset_chunk_cache(access, slots, cache, 1.0) >= 0) {
      H5Dclose(dataset);
      dataset = H5Dopen2(file, path, access);
      if (dataset < 0) fail_hdf5("it cannot be opened");
    }
  }
  H5Eclear2(H5E_DEFAULT);
  return dataset;
}

void read_send(const struct ckpt_hdf5_image *image, const char *path, int dtype, uint64_t first,
               uint64_t count) {
  hid_t file = image_open(image);
  if (dtype == CKPT_HDF5_OPAQUE2) {
    hid_t dataset = H5Dopen2(file, path, H5P_DEFAULT);
    state.memory = dataset < 0 ? -1 : H5Dget_type(dataset);
  } else {
    state.memory = ckpt_hdf5_type(dtype);
  }
  if (state.memory < 0) fail_hdf5("its type cannot be made");
  state.dataset = open_dataset(file, path);
  state.space = H5Dget_space(state.dataset);
  state.size = H5Tget_size(state.memory);
  state.rank = state.space < 0 ? -1 : H5Sget_simple_extent_ndims(state.space);
  if (state.rank < 0 || state.rank > MOST_RANK || state.size == 0 ||
      H5Sget_simple_extent_dims(state.space, state.extents, NULL) < 0)
    fail_hdf5("its shape cannot be read");
  hsize_t elements = 1;
  for (int i = state.rank - 1; i >= 0; i--) {
    state.below[i] = elements;
    if (__builtin_mul_overflow(elements, state.extents[i], &elements)) fail("its shape overflows");
  }
  uint64_t end;
  if (__builtin_add_overflow(first, count, &end) || end / state.size > elements ||
      (end / state.size == elements && end % state.size != 0))
    fail("it has fewer elements than were listed");

  state.piece = ((uint64_t)4 << 20) / state.size;
  state.buffer = malloc(state.piece * state.size);
  if (!state.buffer) fail("the reading process ran out of memory");
  state.skip = first % state.size;
  state.left = count;
  hsize_t position = first / state.size;
  while (state.left > 0) {
    hsize_t wanted = (state.skip + state.left + state.size - 1) / state.size;
    hsize_t done = read_block(position, wanted < state.piece ? wanted : state.piece);
    position += done;
    send_elements(done);
  }
}
