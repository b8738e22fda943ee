import Foundation
@testable import Shop

let rate = 0.19

/// What can be priced.
protocol Priced {
    var net: Double { get }
    func gross(rate: Double) -> Double
}

/// Stores orders.
///
/// Thread-safe.
@available(iOS 13, *)
public final class OrderService<T: Line>: Base, Closeable where T: Hashable {
    private var lines: [T] = []
    weak var delegate: Delegate?

    /// Makes a service.
    public init(lines: [T], name: String = "orders") {
        self.lines = lines
    }

    deinit {
        close()
    }

    var total: Double {
        return lines.reduce(0) { $0 + $1.price }
    }

    /// Finds one.
    @discardableResult
    func find(_ sku: String, in lines: [T]? = nil, codes: Int...) async throws -> T? {
        guard let lines = lines, !lines.isEmpty else {
            return nil
        }
        outer: for line in lines {
            if line.sku == sku && line.price > 0 || line.isFree {
                return line
            } else if line.price < 0 {
                continue outer
            } else {
                repeat { close() } while false
            }
        }
        switch sku {
        case "a", "b":
            return lines.first
        case "c":
            do {
                try close()
            } catch {
                return nil
            }
        default:
            while true {}
        }
        return sku.isEmpty ? nil : lines.last ?? lines.first
    }

    static func == (a: OrderService, b: OrderService) -> Bool { a === b }

    struct Entry {
        let value: T
    }
}

extension OrderService: CustomStringConvertible {
    var description: String { "orders" }

    func describe() -> String {
        description
    }
}

enum State: String {
    case open, closed

    func label() -> String { rawValue }
}

struct Line: Priced {
    let net: Double
    subscript(index: Int) -> Double { net }
}

actor Registry {
    func register() {}
}

// Price with tax.
func gross(_ net: Double, rate: Double = 0.19) -> Double {
    net * (1 + rate)
}
