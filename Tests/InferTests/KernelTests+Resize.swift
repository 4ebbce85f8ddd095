import Infer
import Testing

extension KernelTests {
  /// `UpSampling2D((2, 3), interpolation: …)` of Keras 2.15 on [[1, -2, 4], [0.5, 3, -1]], and
  /// `tf.image.resize(x, (3, 2), …)` of TensorFlow 2.15 on k² / 50 as 4 × 5.
  static let resizes: [(Resize.Method, [Double], [Double])] = [
    (
      .nearest,
      [
        1, 1, 1, -2, -2, -2, 4, 4, 4, 1, 1, 1, -2, -2, -2, 4, 4, 4, 0.5, 0.5, 0.5, 3, 3, 3, -1, -1,
        -1, 0.5, 0.5, 0.5, 3, 3, 3, -1, -1, -1,
      ], [0.02, 0.18, 2.42, 3.38, 5.12, 6.48]
    ),
    (
      .bilinear,
      [
        1, 1, -1.192093e-07, -1, -2, 2.384186e-07, 2, 4, 4, 0.875, 0.875, 0.3333333, -0.2083334,
        -0.75, 0.4166668, 1.583334, 2.75, 2.75, 0.625, 0.625, 1, 1.375, 1.75, 1.25, 0.7499999, 0.25,
        0.25, 0.5, 0.5, 1.333333, 2.166667, 3, 1.666667, 0.333333, -1, -1,
      ], [0.1233333, 0.4066667, 1.49, 2.44, 4.523334, 6.14]
    ),
    (
      .bicubic,
      [
        1.410793, 1.044118, -0.1530856, -1.813926, -2.441177, -0.4807185, 2.425023, 4.441177,
        5.165244, 1.092187, 0.8964286, 0.2485164, -0.6475731, -0.9642857, 0.1639763, 1.817862,
        2.964286, 3.377596, 0.4604157, 0.6035714, 1.044865, 1.665222, 1.964286, 1.442361, 0.6139047,
        0.03571427, -0.1671836, 0.1418106, 0.4558824, 1.446467, 2.831575, 3.441177, 2.087056,
        0.006743908, -1.441177, -1.954831,
      ], [0.06664857, 0.3262541, 1.349428, 2.329886, 4.654085, 6.355396]
    ),
    (
      .lanczos3,
      [
        2.088355, 1.087739, -0.6097034, -2.515001, -2.877389, -0.6058807, 2.509966, 4.877389,
        6.333844, 1.331219, 0.8835647, 0.1213153, -0.7216262, -0.8356466, 0.2617785, 1.728284,
        2.835647, 3.518108, 0.3406285, 0.6164353, 1.077736, 1.624718, 1.835646, 1.396972, 0.7055786,
        0.1643535, -0.1658321, -0.416507, 0.412261, 1.808755, 3.418093, 3.877389, 2.264631,
        -0.07610357, -1.877389, -2.981568,
      ], [0.03613034, 0.2934841, 1.17886, 2.1854, 4.660924, 6.416652]
    ),
    (
      .lanczos5,
      [
        2.633062, 1.110356, -0.9511359, -2.923829, -3.10356, -0.6759937, 2.571489, 5.103559,
        6.754872, 1.51447, 0.8780842, 0.02485344, -0.7684584, -0.7808413, 0.3026326, 1.70338,
        2.780841, 3.478508, 0.2807952, 0.6219158, 1.101254, 1.608659, 1.780841, 1.381941, 0.7459594,
        0.2191587, -0.1349331, -0.8377972, 0.3896439, 2.077243, 3.76403, 4.103559, 2.360567,
        -0.1221492, -2.103559, -3.411297,
      ], [0.1071273, 0.3965827, 1.033729, 2.081141, 4.573903, 6.379272]
    ),
    (
      .gaussian,
      [
        0.8819363, 0.6497714, 0.04704523, -0.7277763, -0.8826011, 0.1316125, 1.888298, 3.104186,
        3.572536, 0.8131443, 0.6842427, 0.3496, -0.07500564, -0.1407142, 0.4769616, 1.532198,
        2.260661, 2.541259, 0.6696331, 0.7561556, 0.9807781, 1.286779, 1.406981, 1.197415,
        0.7893148, 0.5009327, 0.3898504, 0.6008411, 0.790627, 1.283333, 1.93955, 2.148868, 1.542764,
        0.4332143, -0.342592, -0.6414259,
      ], [0.1535818, 0.4516484, 1.499604, 2.430131, 4.428409, 5.991397]
    ),
    (
      .mitchellCubic,
      [
        1.169605, 0.8289806, -0.1141812, -1.286047, -1.627859, -0.1239171, 2.111892, 3.783348,
        4.461278, 0.9565939, 0.7800018, 0.2852771, -0.3249609, -0.4791196, 0.3747756, 1.62563,
        2.558872, 2.938561, 0.5677222, 0.6905864, 1.014524, 1.429589, 1.618009, 1.285184, 0.7379153,
        0.3234804, 0.1587031, 0.3547108, 0.6416076, 1.413983, 2.390676, 2.766749, 1.783877,
        0.2516534, -0.9009956, -1.364014,
      ], [0.1088343, 0.3941334, 1.411488, 2.38083, 4.519783, 6.173167]
    ),
  ]

  /// By `keras.activations` of Keras 3.15 (JAX) at -7, -3, -1.5, -1, -0.4, 0, 0.3, 0.5, 1, 2.5, 3, 8.
  static let parametricActivations: [(ParametricActivation.Kind, [Double])] = [
    (
      .leakyRelu(0.3),
      [-2.1000001, -0.90000004, -0.45000002, -0.30000001, -0.12, 0, 0.30000001, 0.5, 1, 2.5, 3, 8]
    ),
    (
      .elu(0.7),
      [
        -0.69936168, -0.66514903, -0.54380888, -0.44248438, -0.23077591, 0, 0.30000001, 0.5, 1, 2.5,
        3, 8,
      ]
    ),
    (
      .elu(1),
      [
        -0.99908811, -0.95021296, -0.77686983, -0.63212055, -0.32967988, 0, 0.30000001, 0.5, 1, 2.5,
        3, 8,
      ]
    ),
    (
      .celu(0.7),
      [
        -0.69996822, -0.69036531, -0.61787659, -0.53224427, -0.3046973, 0, 0.30000001, 0.5, 1, 2.5,
        3, 8,
      ]
    ),
    (.threshold(0.5, -2), [-2, -2, -2, -2, -2, -2, -2, -2, 1, 2.5, 3, 8]),
    (.thresholdedRelu(1), [0, 0, 0, 0, 0, 0, 0, 0, 0, 2.5, 3, 8]),
    (.hardShrink(1), [-7, -3, -1.5, 0, 0, 0, 0, 0, 0, 2.5, 3, 8]),
    (.softShrink(1), [-6, -2, -0.5, 0, 0, 0, 0, 0, 0, 1.5, 2, 7]),
    (.hardTanh, [-1, -1, -1, -1, -0.40000001, 0, 0.30000001, 0.5, 1, 1, 1, 1]),
    (
      .hardSigmoid6,
      [
        0, 0, 0.25, 0.33333334, 0.43333334, 0.5, 0.55000001, 0.58333337, 0.66666669, 0.91666669, 1,
        1,
      ]
    ),
    (
      .hardSilu,
      [
        0, 0, -0.375, -0.33333334, -0.17333333, 0, 0.16500001, 0.29166669, 0.66666669, 2.2916667, 3,
        8,
      ]
    ),
    (
      .logSigmoid,
      [
        -7.0009112, -3.0485873, -1.7014133, -1.3132617, -0.91301525, -0.69314718, -0.55435526,
        -0.47407699, -0.31326169, -0.078889735, -0.048587352, -0.00033540637,
      ]
    ),
    (
      .tanhShrink,
      [
        -6.0000019, -2.0049453, -0.59485179, -0.23840582, -0.020051003, 0, 0.0086874068,
        0.037882835, 0.23840582, 1.5133857, 2.0049453, 7,
      ]
    ),
    (
      .squarePlus(4),
      [
        0.14005494, 0.30277562, 0.5, 0.61803401, 0.81980389, 1, 1.1611874, 1.2807764, 1.618034,
        2.850781, 3.3027756, 8.123106,
      ]
    ),
    (.sparsePlus, [0, 0, 0, 0, 0.090000004, 0.25, 0.42249995, 0.5625, 1, 2.5, 3, 8]),
    (.sparseSigmoid, [0, 0, 0, 0, 0.30000001, 0.5, 0.64999998, 0.75, 1, 1, 1, 1]),
  ]

  @Test func `images of other sizes as Keras has them`() throws {
    #expect(Set(KernelTests.resizes.map(\.0)) == Set(Resize.Method.allCases))
    let x = NDArray<Double>(shape: [1, 2, 3, 1], values: [1, -2, 4, 0.5, 3, -1])
    let y = NDArray<Double>(shape: [1, 4, 5, 1], values: (0..<20).map { Double($0 * $0) / 50 })
    // TensorFlow computes in Float32, weights included.
    for (method, larger, smaller) in KernelTests.resizes {
      try expect(
        Resize(sizes: [4, 9], method: method), [x], [1, 4, 9, 1], larger, tolerance: 3e-6)
      try expect(
        Resize(sizes: [3, 2], method: method), [y], [1, 3, 2, 1], smaller, tolerance: 3e-6)
    }
  }

  @Test(arguments: Resize.Method.allCases)
  func `images of any size`(method: Resize.Method) throws {
    var random = Random(51)
    for round in 0..<40 {
      let shape = (0..<4).map { _ in Int.random(in: 1...9, using: &random) }
      let sizes = (0..<2).map { _ in Int.random(in: 1...(round % 10 == 0 ? 70 : 12), using: &random)
      }
      let op = Resize(sizes: sizes, method: method)
      let x = random.array(shape, scale: 3)
      #expect(try compare(op, inputs: [x], threads: 1 + round % 3) < 2e-6, "\(shape) \(sizes)")
    }
    for shapes in [
      [], [[.fixed(1), .fixed(2), .fixed(3)]], [[.batch, .fixed(2), .fixed(3), .fixed(1)]],
      [[.fixed(1), .fixed(0), .fixed(3), .fixed(1)]],
    ] as [[[Dimension]]] {
      #expect(throws: ShapeMismatch.self) {
        try Resize(sizes: [1, 1], method: method).shape(shapes)
      }
    }
    for sizes in [[], [1], [0, 1], [.max, .max], [-1, 2]] {
      #expect(throws: ShapeMismatch.self) {
        try Resize(sizes: sizes, method: method).shape(
          [[.fixed(1), .fixed(2), .fixed(3), .fixed(1)]])
      }
    }
  }

  @Test func `activations with parameters as Keras has them`() throws {
    let x = NDArray<Double>(
      shape: [12], values: [-7, -3, -1.5, -1, -0.4, 0, 0.3, 0.5, 1, 2.5, 3, 8])
    var random = Random(52)
    let special = NDArray<Float>(
      shape: [12],
      values: [.infinity, -.infinity, .nan, 0, -0.0, 1, -1, 3, -3, 88, -104, 1e-30])
    for (kind, expected) in KernelTests.parametricActivations {
      let op = ParametricActivation(kind: kind)
      try expect(op, [x], [12], expected, tolerance: 1e-6)
      for count in [1, 7, 67, 9001] {
        let x = random.array([count], scale: 5)
        #expect(try compare(op, inputs: [x], threads: 1 + count % 3) < 1e-6, "\(kind)")
      }
      for value in special.values {
        let x = NDArray<Float>(shape: [1], values: [value])
        #expect(try compare(op, inputs: [x]) < 2e-6 || value.magnitude < 1, "\(kind) \(value)")
      }
    }
  }

  @Test func `rectifiers with all arguments`() throws {
    // The ReLU layer of Keras 2.15 and of Keras 3.15, which agree.
    let x = NDArray<Double>(shape: [8], values: [-3, -1, 0, 0.5, 1, 2, 6, 7])
    let cases: [(Rectify, [Double])] = [
      (
        Rectify(negativeSlope: 0.1, threshold: 1, maxValue: 6),
        [-0.4, -0.2, -0.1, -0.05, 0, 2, 6, 6]
      ),
      (Rectify(threshold: 1), [0, 0, 0, 0, 0, 2, 6, 7]), (Rectify(), [0, 0, 0, 0.5, 1, 2, 6, 7]),
      (Rectify(threshold: 1, maxValue: 6), [0, 0, 0, 0, 0, 2, 6, 6]),
      (Rectify(negativeSlope: 0.1, maxValue: 6), [-0.3, -0.1, 0, 0.5, 1, 2, 6, 6]),
    ]
    var random = Random(53)
    for (op, expected) in cases {
      try expect(op, [x], [8], expected)
      for count in [1, 7, 67, 9001] {
        #expect(try compare(op, inputs: [random.array([count], scale: 9)], threads: 2) < 1e-6)
      }
      for special in [Float.nan, .infinity, -.infinity] {
        #expect(try compare(op, inputs: [NDArray(shape: [1], values: [special])]) == 0)
      }
    }
  }
}
