import Checkpoint

/// A colour of a pixel or of a cell on a terminal.
struct Colour: Equatable {
  let red: UInt8
  let green: UInt8
  let blue: UInt8

  init(_ red: UInt8, _ green: UInt8, _ blue: UInt8) {
    self.red = red
    self.green = green
    self.blue = blue
  }

  /// A place on the way from the first to the last of `stops`, from 0 to 1.
  init(_ share: Double, along stops: [Colour]) {
    let place = min(1, max(0, share)) * Double(stops.count - 1)
    let index = min(stops.count - 2, Int(place))
    let (a, b, part) = (stops[index], stops[index + 1], place - Double(index))
    func mixed(_ x: UInt8, _ y: UInt8) -> UInt8 {
      UInt8((Double(x) + (Double(y) - Double(x)) * part).rounded())
    }
    self.init(mixed(a.red, b.red), mixed(a.green, b.green), mixed(a.blue, b.blue))
  }

  /// Parameters that select it, behind 38 (of the character) or 48 (behind it).
  func parameters(on terminal: Terminal) -> String {
    if terminal.hasTrueColor { return "2;\(red);\(green);\(blue)" }
    // The cube of 6 × 6 × 6 colours of xterm, or its greys, whichever is nearer.
    let levels = [0, 95, 135, 175, 215, 255]
    func nearest(_ value: UInt8) -> Int {
      levels.indices.min { abs(levels[$0] - Int(value)) < abs(levels[$1] - Int(value)) } ?? 0
    }
    func distance(_ r: Int, _ g: Int, _ b: Int) -> Int {
      let (x, y, z) = (r - Int(red), g - Int(green), b - Int(blue))
      return x * x + y * y + z * z
    }
    let (r, g, b) = (nearest(red), nearest(green), nearest(blue))
    let grey = min(23, max(0, (Int(red) + Int(green) + Int(blue) - 24 + 15) / 30))
    let level = 8 + 10 * grey
    return distance(level, level, level) < distance(levels[r], levels[g], levels[b])
      ? "5;\(232 + grey)" : "5;\(16 + 36 * r + 6 * g + b)"
  }
}

/// Pixels.
struct Canvas {
  let width: Int
  let height: Int
  private var pixels: [UInt8]

  init(width: Int, height: Int, colour: Colour) {
    self.width = width
    self.height = height
    pixels = (0..<width * height).flatMap { _ in [colour.red, colour.green, colour.blue] }
  }

  mutating func fill(_ columns: Range<Int>, _ rows: Range<Int>, _ colour: Colour) {
    for row in rows {
      for column in columns {
        let place = 3 * (row * width + column)
        (pixels[place], pixels[place + 1], pixels[place + 2]) = (
          colour.red, colour.green, colour.blue
        )
      }
    }
  }

  func png() throws(CheckpointError) -> [UInt8] {
    try PNG.encode(pixels, width: width, height: height)
  }
}
