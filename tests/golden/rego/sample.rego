# METADATA
# title: Who may change an order
package bakery.orders

import data.staff
import rego.v1

max_lines := 20

default allow := false

# Bakers may do everything.
allow if {
	some member in staff.bakers
	member.name == input.user
}

# Customers change their own orders
# until they are baked.
allow if {
	input.action == "change"
	input.order.owner == input.user
	not is_baked(input.order)
}

is_baked(order) if order.state == "baked"

is_baked(order) if order.state == "fetched"

discount(order, day) := 10 if {
	day == "monday"
	count(order.lines) > 5
} else := 5 if {
	order.owner in staff.names
}

violation contains message if {
	count(input.order.lines) > max_lines
	message := sprintf("an order has at most %d lines", [max_lines])
}

open_orders[id] := order if {
	some id, order in data.orders
	order.state == "open"
}

test_bakers_may_pay if {
	allow with input as {"user": "ada", "action": "pay"} with data.staff as {"bakers": [
		{"name": "ada"},
		{"name": "ben"},
	]}
}
