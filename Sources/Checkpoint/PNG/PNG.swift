internal import CPNG

/// Images for people to look at; the only gate to libpng.
public enum PNG {
  /// A PNG file of pixels of 8-bit red, green and blue, row by row from the top.
  ///
  /// - Throws: ``CheckpointError`` of kind `cannotWrite` when libpng refuses, as for an image without pixels.
  public static func encode(
    _ pixels: [UInt8], width: Int, height: Int
  ) throws(CheckpointError) -> [UInt8] {
    guard width > 0, height > 0, width <= 1 << 16, height <= 1 << 16,
      pixels.count == 3 * width * height
    else {
      throw CheckpointError(
        .cannotWrite, Place(), "an image of \(width) × \(height) pixels cannot be made")
    }
    var size = 0
    // libpng reads the pixels that were counted above, and fills no more than `size` bytes.
    var isDone = unsafe ckpt_png_write(pixels, UInt32(width), UInt32(height), nil, &size) != 0
    var bytes = [UInt8](repeating: 0, count: size)
    if isDone {
      isDone = unsafe ckpt_png_write(pixels, UInt32(width), UInt32(height), &bytes, &size) != 0
    }
    guard isDone else {
      throw CheckpointError(.cannotWrite, Place(), "libpng cannot write the image")
    }
    bytes.removeLast(bytes.count - size)
    return bytes
  }
}
