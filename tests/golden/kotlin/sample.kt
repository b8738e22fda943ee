package shop.orders

import java.math.BigDecimal
import kotlin.math.*

const val RATE = 0.19

/**
 * Stores orders.
 */
@Service
class OrderService<T : Line>(private val lines: List<T>, val name: String = "orders") : Base(), Closeable {
    private var state: State = State.OPEN

    init {
        require(lines.isNotEmpty())
    }

    constructor(line: T) : this(listOf(line))

    val size: Int
        get() = lines.size

    /** Sum of all lines. */
    @Throws(IOException::class)
    suspend fun <R> total(currency: String, vararg codes: Int, rounding: R? = null): Double {
        var sum = 0.0
        outer@ for (line in lines) {
            if (line.isOpen && line.price > 0 || line.isFree) {
                continue@outer
            } else if (line.price < 0) {
                throw IllegalStateException()
            } else {
                sum += line.price
            }
        }
        return try {
            when (currency) {
                "EUR" -> sum
                "USD", "CAD" -> sum * 2
                else -> rounding?.let { 0.0 } ?: 1.0
            }
        } catch (e: ArithmeticException) {
            0.0
        }
    }

    override fun close() = Unit

    companion object {
        fun empty(): OrderService<Line> = OrderService(emptyList())
    }
}

/** A line. */
data class Line(val sku: String, val price: BigDecimal)

sealed interface Event {
    fun apply(order: Order)
}

enum class State {
    OPEN,
    CLOSED;

    fun isOpen(): Boolean = this == OPEN
}

object Registry {
    fun register(service: OrderService<*>) {
        services.add(service)
    }
}

/** Price with tax. */
fun BigDecimal.gross(rate: Double = RATE): BigDecimal {
    while (rate > 1) {
        println(rate)
    }
    return this * (1 + rate).toBigDecimal()
}

fun main(args: Array<String>) {
    args.forEach { println(it) }
}
