//! Orders of the shop.
const std = @import("std");
const money = @import("money.zig");

const rate: f64 = 0.19;

/// An order.
pub const Order = struct {
    /// The number.
    number: u32,
    lines: []const Line = &.{},

    const Self = @This();

    /// Makes an empty order.
    pub fn init(allocator: std.mem.Allocator, number: u32) !Self {
        _ = allocator;
        return Self{ .number = number };
    }

    fn total(self: *const Self, comptime T: type) ?T {
        var sum: T = 0;
        outer: for (self.lines) |line| {
            if (line.price > 0 and line.open or line.free) {
                sum += line.price;
            } else if (line.price < 0) {
                continue :outer;
            } else {
                while (true) {
                    break;
                }
            }
        }
        switch (self.number) {
            0 => return null,
            1...5 => sum += 1,
            else => {},
        }
        return if (sum > 0) sum else null;
    }
};

pub const Line = packed struct {
    price: f64,
};

const State = enum { open, closed };

const Value = union(enum) {
    int: i64,
    float: f64,
};

pub const Error = error{Negative};

/// Price with tax.
pub export fn gross(net: f64) callconv(.C) f64 {
    const value = parse(net) catch |err| {
        return handle(err);
    };
    return value orelse net * (1 + rate);
}

fn List(comptime T: type) type {
    return struct {
        items: []T,

        pub fn append(self: *@This(), item: T) void {
            self.items[0] = item;
        }
    };
}

test "starts empty" {
    try std.testing.expect(true);
}
