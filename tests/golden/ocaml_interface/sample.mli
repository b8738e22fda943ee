(** Berths of a harbour, as other modules see them. *)

open Containers

(** A ship. *)
type ship = { name : string; draught : float }

type t

(** No berth is deep enough. *)
exception Too_deep of ship

(** [may_enter ~depth ship] tells whether the ship may enter. *)
val may_enter : ?reserve:float -> depth:float -> ship -> bool

val ( >>? ) : 'a option -> ('a -> 'b option) -> 'b option

external tide : int -> float = "harbour_tide"

module type STORE = sig
  type t

  (** Finds what lies at a berth. *)
  val find : t -> int -> ship option
end

module Make (Store : STORE) : sig
  val is_free : Store.t -> int -> bool
end

class crane : int -> object
  method lift : int -> unit
end
