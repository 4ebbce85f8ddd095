#ifndef CKPT_CHDF5_SHIM_H
#define CKPT_CHDF5_SHIM_H

// Later libraries then offer the calls of 1.10 under their plain names.
#define H5_USE_110_API
// Debian has the headers in a folder of their own, which pkg-config knows.
#if __has_include(<hdf5/serial/hdf5.h>)
#include <hdf5/serial/hdf5.h>
#else
#include <hdf5.h>
#endif

// Macros that Swift does not import.

static inline size_t ckpt_h5t_variable(void) { return H5T_VARIABLE; }
static inline hid_t ckpt_h5t_c_s1(void) { return H5T_C_S1; }
static inline hid_t ckpt_h5p_file_access(void) { return H5P_FILE_ACCESS; }
static inline hid_t ckpt_h5p_file_create(void) { return H5P_FILE_CREATE; }
static inline hid_t ckpt_h5p_group_create(void) { return H5P_GROUP_CREATE; }
static inline hid_t ckpt_h5p_dataset_create(void) { return H5P_DATASET_CREATE; }
static inline haddr_t ckpt_h5_no_address(void) { return HADDR_UNDEF; }

#endif
