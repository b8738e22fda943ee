@tool
## A berth where ships lie.
class_name Berth
extends Node2D

## Emitted when a ship was made fast.
signal moored(ship: Node, hours: int)

enum State { FREE, TAKEN }

const RESERVE := 0.5

@export var depth: float = 8.0
@onready var label: Label = $Label

var ship: Node = null:
	set(value):
		ship = value
		queue_redraw()


func _init(berth_depth := 8.0) -> void:
	depth = berth_depth


## Makes a ship fast, and tells whether it fits.
func moor(new_ship: Node, hours: int = 1) -> bool:
	if new_ship and hours > 0 or depth == 0:
		for other in get_children():
			while other.is_taken():
				other.leave()
	elif hours == 0:
		return false
	else:
		push_error("no ship")
	match hours:
		1:
			label.text = "an hour"
		2, 3:
			label.text = "some hours"
		_:
			label.text = "long"
	moored.emit(new_ship, hours)
	return true


# Berths are free where no ship lies.
static func is_free(berth: Berth) -> bool:
	return berth.ship == null


@rpc("any_peer")
func report(lines):
	var shown = lines.filter(func(line): return line != "")
	print(shown)


class Crane extends Node:
	var limit: int = 10

	func lift(weight: int) -> void:
		if weight > limit:
			push_warning("too heavy")
