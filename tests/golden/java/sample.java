package shop.orders;

import java.util.List;
import static java.util.Objects.requireNonNull;

/**
 * Stores orders.
 *
 * @author someone
 */
@Service
@SuppressWarnings("unchecked")
public class OrderService<T extends Line> extends Base implements Closeable {
    private static final double RATE = 0.19;

    @Autowired
    private List<T> lines;

    /** Makes a service. */
    public OrderService(List<T> lines) {
        this.lines = requireNonNull(lines);
    }

    /**
     * Sum of all lines.
     * @return the sum
     */
    @Override
    @Cached(ttl = 5)
    public <R extends Number> double total(final @Nonnull String currency, int... codes) throws IOException {
        double sum = 0;
        outer:
        for (T line : lines) {
            for (int i = 0; i < codes.length; i++) {
                if (codes[i] == line.code() && line.isOpen() || line.isFree()) {
                    continue outer;
                } else if (codes[i] < 0) {
                    break;
                } else {
                    sum += line.price();
                }
            }
        }
        try {
            return sum > 0 ? sum : 0;
        } catch (ArithmeticException e) {
            return switch (currency) {
                case "EUR" -> 1;
                case "USD" -> 2;
                default -> 3;
            };
        }
    }

    private Runnable later() {
        return () -> {
            while (true) {
                close();
            }
        };
    }

    @Override
    public void close() {}

    /** A line. */
    public record Line(String sku, double price) {
        public Line {
            requireNonNull(sku);
        }
    }

    enum State {
        OPEN, CLOSED;

        boolean isOpen() {
            return this == OPEN;
        }
    }
}

interface Priced {
    double price();

    default double gross() {
        return price() * 1.19;
    }
}

@interface Cached {
    int ttl() default 1;
}
