import Checkpoint

/// Samples as images in rows and columns.
struct ImageGrid {
  /// How the numbers of one sample lie.
  struct Layout: Equatable {
    var height: Int
    var width: Int
    /// 1 (grey) or 3 (red, green, blue).
    var channels: Int
    /// Whether a channel lies behind another, rather than a pixel's channels together.
    var isChannelsFirst = false

    /// - Parameters:
    ///   - shape: of one sample, without the batch.
    ///   - stated: height and width of samples that are vectors; a square where nothing is said.
    /// - Throws: ``CheckpointError`` where it is no image.
    init(_ shape: [Int], stated: [Int]? = nil) throws(CheckpointError) {
      let extents = shape.filter { $0 != 1 }
      func colours(_ channels: Int) -> Bool { channels == 3 }
      switch shape.count {
      case 1:
        var size = stated
        let side = Int(Double(shape[0]).squareRoot().rounded())
        if size == nil, side * side == shape[0] { size = [side, side] }
        guard let size, size.count == 2, size[0] > 0, size[1] > 0,
          size[0].multipliedReportingOverflow(by: size[1]).partialValue == shape[0]
        else {
          throw CheckpointError(
            .usage, Place(member: "a sample"), "is a vector of \(shape[0]) numbers",
            hint: "--image 28x28 says which image it is")
        }
        (height, width, channels) = (size[0], size[1], 1)
      case 2: (height, width, channels) = (shape[0], shape[1], 1)
      case 3 where shape[2] == 1 || colours(shape[2]):
        (height, width, channels) = (shape[0], shape[1], shape[2])
      case 3 where shape[0] == 1 || colours(shape[0]):
        (height, width, channels) = (shape[1], shape[2], shape[0])
        isChannelsFirst = true
      default:
        throw CheckpointError(
          .unsupported, Place(member: "a sample"),
          "has shape \(Shape(shape)): \(extents.count) axes with extents, not an image of 1 or 3 channels",
          hint: "-o samples.npz takes any")
      }
    }

    /// Where a pixel's channel is.
    func index(_ row: Int, _ column: Int, _ channel: Int) -> Int {
      isChannelsFirst
        ? (channel * height + row) * width + column : (row * width + column) * channels + channel
    }
  }

  let layout: Layout
  let columns: Int
  /// The values of black and white.
  let range: ClosedRange<Double>
  /// Of each image, `height · width · channels` numbers.
  let images: [ArraySlice<Float>]

  /// Images are at least so high.
  private static let leastHeight = 48
  private static let largestSide = 4096
  private static let gap = 2

  /// Pixels of the picture that one of an image takes along each axis.
  var scale: Int {
    let wanted = max(1, ImageGrid.leastHeight / max(1, min(layout.height, layout.width)))
    let rows = (images.count + columns - 1) / columns
    let room = ImageGrid.largestSide / max(1, max(columns * layout.width, rows * layout.height))
    return max(1, min(wanted, room))
  }

  /// - Throws: ``CheckpointError`` where the picture would be too large.
  func png() throws(CheckpointError) -> [UInt8] {
    let (scale, gap) = (scale, ImageGrid.gap)
    let rows = (images.count + columns - 1) / columns
    let (wide, high) = (layout.width * scale + gap, layout.height * scale + gap)
    guard columns * wide + gap < 1 << 15, rows * high + gap < 1 << 15 else {
      throw CheckpointError(
        .usage, Place(member: "the picture"),
        "would be \(columns * wide) × \(rows * high) pixels large", hint: "a smaller --count")
    }
    var canvas = Canvas(
      width: columns * wide + gap, height: rows * high + gap, colour: Colour(40, 40, 44))
    for (number, image) in images.enumerated() {
      let (left, top) = (gap + number % columns * wide, gap + number / columns * high)
      for row in 0..<layout.height {
        for column in 0..<layout.width {
          let levels = (0..<layout.channels).map { channel in
            level(image[image.startIndex + layout.index(row, column, channel)])
          }
          let (x, y) = (left + column * scale, top + row * scale)
          canvas.fill(
            x..<(x + scale), y..<(y + scale),
            Colour(levels[0], levels[levels.count / 2], levels[levels.count - 1]))
        }
      }
    }
    return try canvas.png()
  }

  private func level(_ value: Float) -> UInt8 {
    let share = (Double(value) - range.lowerBound) / (range.upperBound - range.lowerBound)
    return share.isNaN ? 0 : UInt8((min(1, max(0, share)) * 255).rounded())
  }
}
