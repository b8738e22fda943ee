package shop.orders

import scala.collection.mutable.{Map, Set}
import java.math.BigDecimal

/** Stores orders.
  *
  * Thread-safe.
  */
@deprecated("old", "1.0")
class OrderService[T <: Line](val lines: List[T], name: String = "orders") extends Base with Closeable {
  private val rate: Double = 0.19
  type Id = Int

  /** Sum of all lines. */
  @throws[IOException]
  def total(currency: String, codes: Int*)(implicit rounding: Rounding): Double = {
    var sum = 0.0
    for (line <- lines if line.isOpen) {
      if (line.price > 0 && line.sku != "" || line.isFree) {
        sum += line.price
      } else if (line.price < 0) {
        sum -= 1
      } else {
        sum += 1
      }
    }
    currency match {
      case "EUR" => sum
      case "USD" | "CAD" => sum * 2
      case _ => try sum / 0 catch { case e: ArithmeticException => 0 }
    }
  }

  def close(): Unit = while (true) lines.map(line => line.price)
}

/** Makes services. */
object OrderService {
  def apply(): OrderService[Line] = new OrderService(Nil)
}

trait Priced {
  def net: Double
  def gross: Double = net * 1.19
}

case class Line(sku: String, price: Double) extends Priced {
  override def net: Double = price
}

sealed trait State
case object Open extends State

enum Color:
  case Red, Green

def topLevel(value: Int): Int = value + 1
