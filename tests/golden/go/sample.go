// Package shop sells things.
package shop

import (
	"context"
	"errors"
	str "strings"
)

const rate = 0.19

// ErrNegative is returned for negative prices.
var ErrNegative = errors.New("negative")

// Store keeps orders.
type Store[K comparable, V any] struct {
	orders map[K]V
	name   string
}

// Finder finds orders.
type Finder interface {
	// Find one.
	Find(ctx context.Context, id int) (*Order, error)
}

type (
	// Order of a customer.
	Order struct {
		ID    int
		Lines []Line
	}
	Line struct {
		Price float64
	}
)

// Gross is the price with tax.
func Gross(net, factor float64, opts ...Option) (total float64, err error) {
	if net < 0 || factor < 0 {
		return 0, ErrNegative
	} else if net == 0 {
		return 0, nil
	} else {
		total = net * (1 + rate)
	}
	return total, nil
}

// Put stores a value,
// and overwrites.
func (s *Store[K, V]) Put(ctx context.Context, key K, value V) error {
outer:
	for {
		select {
		case <-ctx.Done():
			break outer
		default:
			s.orders[key] = value
			return nil
		}
	}
	return ctx.Err()
}

func (o Order) Total() (sum float64) {
	for _, line := range o.Lines {
		switch {
		case line.Price > 0 && line.Price < 10:
			sum += line.Price
		case line.Price > 100:
			sum += 100
		}
	}
	each := func(l Line) bool { return l.Price > 0 }
	_ = each
	return
}

func main() { str.ToUpper("x") }
