#ifndef CKPT_CPNG_SHIM_H
#define CKPT_CPNG_SHIM_H

#include <png.h>
#include <string.h>

// libpng's simplified interface, which returns errors where the other one jumps. Fills `bytes`, which hold `size`, and
// sets `size` to what was written; without `bytes` it is what would be needed.
static inline int ckpt_png_write(
  const void *pixels, unsigned width, unsigned height, void *bytes, size_t *size) {
  png_image image;
  memset(&image, 0, sizeof image);
  image.version = PNG_IMAGE_VERSION;
  image.width = width;
  image.height = height;
  image.format = PNG_FORMAT_RGB;
  png_alloc_size_t count = *size;
  int done = png_image_write_to_memory(&image, bytes, &count, 0, pixels, 0, NULL);
  *size = count;
  png_image_free(&image);
  return done;
}

#endif
