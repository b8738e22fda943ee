library shop.orders;

import 'dart:async';
import 'package:money/money.dart' as money show Money;

part 'order.g.dart';

const double rate = 0.19;

/// Stores orders.
///
/// Not thread-safe.
@immutable
class OrderService<T extends Line> extends Base with Loggable implements Closeable {
  final List<T> lines;
  static int count = 0;

  /// Makes a service.
  OrderService(this.lines, {required String name, int size = 3}) : super(name);

  OrderService.empty() : lines = [];

  factory OrderService.fromJson(Map<String, dynamic> json) {
    return OrderService(json['lines']);
  }

  /// Sum of all lines.
  @override
  Future<double> total(String currency, [int? digits, double factor = 1.0]) async {
    double sum = 0;
    outer:
    for (final line in lines) {
      if (line.isOpen && line.price > 0 || line.isFree) {
        sum += line.price;
      } else if (line.price < 0) {
        continue outer;
      } else {
        try {
          sum += await line.load();
        } on FormatException catch (e) {
          while (true) {
            break;
          }
        }
      }
    }
    switch (currency) {
      case 'EUR':
        return sum;
      default:
        return sum > 0 ? sum : digits ?? 0;
    }
  }

  int get size => lines.length;

  set size(int value) {
    count = value;
  }

  bool operator ==(Object other) => other is OrderService;
}

abstract class Priced {
  double get net;
  double gross();
}

mixin Loggable on Base {
  void log(String message) => print(message);
}

extension Rounded on double {
  double round2() {
    return (this * 100).round() / 100;
  }
}

enum State {
  open,
  closed;

  bool get isOpen => this == open;
}

typedef Handler = void Function(Event event);

/// Price with tax.
double gross(double net, {double rate = rate}) {
  return net * (1 + rate);
}

void main() {
  test('starts empty', () {
    expect(OrderService([]).size, 0);
  });
}
