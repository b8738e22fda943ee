<html>
<body><?= $title ?></body>
<?php
declare(strict_types=1);

namespace Shop\Orders;

use Shop\Money;
use Shop\{Line, Customer as Client};

require_once 'config.php';

const RATE = 0.19;

/**
 * Stores orders.
 */
#[Service('orders')]
final class OrderService extends Base implements \Countable
{
    use Loggable;

    private ?array $lines = [];
    public const OPEN = 'open';

    /** Makes a service. */
    public function __construct(private readonly Money $money, string $name = 'orders')
    {
        parent::__construct($name);
    }

    /**
     * Sum of all lines.
     *
     * @return float
     */
    #[Pure]
    public function total(int|float $factor, ?string $currency = null, string ...$tags): ?float
    {
        $sum = 0;
        foreach ($this->lines as $line) {
            if ($line->isOpen() && $line->price > 0) {
                $sum += $line->price;
            } elseif ($line->price < 0 || $line->free) {
                continue 2;
            } else {
                $sum += 1;
            }
        }
        switch ($currency) {
            case 'EUR':
                break;
            default:
                while ($sum > 100) {
                    $sum /= 2;
                }
        }
        try {
            return match (true) {
                $sum > 10 => 10,
                default => $sum ?: 0,
            };
        } catch (\Exception $e) {
            return $e ? null : 0;
        }
    }

    public static function count(): int { return 0; }
}

interface Priced
{
    public function net(): float;
}

trait Loggable
{
    protected function log(string $message): void
    {
        echo $message;
    }
}

enum State: string
{
    case Open = 'open';

    public function label(): string
    {
        return ucfirst($this->value);
    }
}

// Price with tax.
function gross(float $net, &$errors): float
{
    $round = function ($value) use ($net) { return $value; };
    $twice = fn($value) => $value and $net;
    return $round($net * (1 + RATE));
}
