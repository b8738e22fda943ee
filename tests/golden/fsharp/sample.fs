/// Berths and ships.
module Harbour.Berths

open System
open System.Collections.Generic

/// A ship that may come in.
type Ship = { Name: string; Draught: float }

/// What a berth is used for.
type Berth =
    | Free of number: int
    | Taken of number: int * ship: Ship

    /// The number, whatever lies there.
    member this.Number =
        match this with
        | Free number -> number
        | Taken (number, _) -> number

    static member OfNumber(number: int) = Free number

exception TooDeep of string

let private reserve = 0.5

/// Tells whether the ship may enter at this depth.
let mayEnter (depth: float) (ship: Ship) : bool =
    ship.Draught + reserve < depth && depth > 0.0

let rec countFree berths =
    match berths with
    | [] -> 0
    | Free _ :: rest -> 1 + countFree rest
    | _ :: rest -> countFree rest

let (|Deep|Shallow|) depth = if depth > 10.0 then Deep else Shallow

let (>>?) value f = Option.bind f value

[<Obsolete("use countFree")>]
let freeBerths = fun berths -> berths |> List.filter (fun berth -> berth = Free 1)

/// Somebody who can lift.
type ILifting =
    abstract member Lift: weight: int -> int

type Crane(limit: int) =
    let mutable load = 0

    new() = Crane(10)

    member this.Load = load
    member val Name = "crane" with get, set

    /// Lifts as much as the limit allows.
    member this.Lift(weight: int, times: int) =
        for _ in 1 .. times do
            if load + weight > limit || weight < 0 then
                failwith "too heavy"
            elif weight = 0 then
                ()
            else
                load <- load + weight

    interface IDisposable with
        member this.Dispose() = load <- 0

type State =
    | Open = 0
    | Closed = 1

module Reports =
    /// One line a berth.
    let line berth =
        match berth with
        | Free number -> sprintf "%d is free" number
        | Taken (number, ship) -> sprintf "%d: %s" number ship.Name

    let all berths = berths |> List.map line
