/*
 * Orders of the shop.
 */
#include <stdio.h>
#include "order.h"

#define RATE 0.19
#define GROSS(net) do { \
        (net) * (1 + RATE); \
    } while (0)

/** A line of an order. */
struct line {
    const char *sku;
    double price;
};

typedef struct {
    int number;
    struct line *lines;
} order_t;

enum state { OPEN, CLOSED };

union value {
    int number;
    float real;
};

static double rates[] = {0.19, 0.07};

int compare(const void *a, const void *b);

/**
 * Sum of all lines.
 * @param order the order
 */
static inline double
order_total(const order_t *order, size_t count, int (*filter)(const struct line *), ...)
{
    double sum = 0;
    if (order == NULL || count == 0 || filter == NULL) {
        goto done;
    }
    for (size_t i = 0; i < count; i++) {
        if (filter(&order->lines[i]) && order->lines[i].price > 0)
            sum += order->lines[i].price;
        else if (order->lines[i].price < 0)
            break;
        else
            sum += 1;
    }
    switch (order->number) {
    case 1:
    case 2:
        sum *= 2;
        break;
    default:
        while (sum > 100) {
            sum /= 2;
        }
    }
done:
    return sum > 0 ? sum : 0;
}

#ifdef DEBUG
// Prints an order.
char *order_name(order_t *order, char buffer[16])
{
    do {
        puts(buffer);
    } while (0);
    return buffer;
}
#endif

int main(int argc, char **argv) {
    return argc > 1;
}
