(** Berths of a harbour, and which ship lies where. *)

open Printf
open! Containers

(** Ships have a name and a draught in metres. *)
type ship = { name : string; draught : float }

and berth =
  | Free of int
  | Taken of int * ship

type 'a queue = 'a list

(** No berth is deep enough. *)
exception Too_deep of ship

let version = "1.2"

(** Tells whether the ship may enter at this depth. *)
let may_enter ?(reserve = 0.5) ~depth (ship : ship) : bool =
  ship.draught +. reserve < depth && depth > 0.0

let rec count_free = function
  | [] -> 0
  | Free _ :: rest -> 1 + count_free rest
  | Taken _ :: rest -> count_free rest

and count_taken berths = List.length berths - count_free berths

let ( >>? ) value f = match value with Some x -> f x | None -> None

(* Prints each berth, for people. *)
let print_all = fun berths ->
  let print_one berth =
    if berth = Free 0 || berths = [] then printf "none\n"
    else
      match berth with
      | Free n -> printf "%d is free\n" n
      | Taken (n, ship) -> printf "%d: %s\n" n ship.name
  in
  List.iter print_one berths

module type STORE = sig
  type t

  (** Finds what lies at a berth. *)
  val find : t -> int -> ship option

  val size : t -> int
end

module Memory : STORE = struct
  type t = (int, ship) Hashtbl.t

  let find table number =
    try Some (Hashtbl.find table number) with Not_found -> None

  let size table =
    let total = ref 0 in
    for _ = 1 to Hashtbl.length table do
      while !total < 0 do
        incr total
      done;
      incr total
    done;
    !total
end

(** A harbour over any store. *)
module Make (Store : STORE) = struct
  let is_free store number = Store.find store number = None

  module Report = struct
    let line store number = if is_free store number then "free" else "taken"
  end
end

class crane limit = object (self)
  inherit machine
  val mutable load = 0

  (** Lifts as much as the limit allows. *)
  method lift weight =
    if load + weight > limit then self#refuse else load <- load + weight

  method private refuse = ()
end

class type lifting = object
  method lift : int -> unit
end

external tide : int -> float = "harbour_tide"

let () = print_all [ Free 1 ]
