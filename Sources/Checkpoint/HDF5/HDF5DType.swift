import CHDF5Reader

extension DType {
  /// The code in the child's records and for `ckpt_hdf5_type`; `CKPT_HDF5_NONE` for what HDF5 files
  /// do not hold.
  var hdf5Code: Int32 {
    let code =
      switch self {
      case .f64: CKPT_HDF5_F64
      case .f32: CKPT_HDF5_F32
      case .f16: CKPT_HDF5_F16
      case .bf16: CKPT_HDF5_BF16
      case .i64: CKPT_HDF5_I64
      case .i32: CKPT_HDF5_I32
      case .i16: CKPT_HDF5_I16
      case .i8: CKPT_HDF5_I8
      case .u64: CKPT_HDF5_U64
      case .u32: CKPT_HDF5_U32
      case .u16: CKPT_HDF5_U16
      case .u8: CKPT_HDF5_U8
      case .bool: CKPT_HDF5_BOOL
      case .c64: CKPT_HDF5_C64
      case .c128: CKPT_HDF5_C128
      default: CKPT_HDF5_NONE
      }
    return Int32(code.rawValue)
  }

  init?(hdf5Code code: UInt8) {
    guard code != 0, let dtype = DType.allCases.first(where: { $0.hdf5Code == Int32(code) }) else {
      return nil
    }
    self = dtype
  }
}
