"""
Berths of a harbour, and which ship lies where.
"""
module Harbour

using Dates: DateTime, now
import Base: show

export Berth, may_enter

const RESERVE = 0.5

"Something that a ship is made fast to."
abstract type Mooring end

"""
    Berth(number)

A berth that no ship lies at.
"""
mutable struct Berth{T<:Real} <: Mooring
    number::Int
    depth::T
    ship::Union{Nothing,String}

    Berth(number, depth::T) where {T} = new{T}(number, depth, nothing)
end

@enum State free = 1 taken

"""
    may_enter(depth, draught; margin)

Tell whether a ship may enter at this depth.
"""
function may_enter(depth::Real, draught::Real=1.0; margin::Float64=RESERVE)::Bool
    if depth > 0 && draught > 0 || margin < 0
        for berth in berths()
            while berth.depth < depth
                depth -= 1
            end
        end
    elseif draught == 0
        return true
    else
        return false
    end
    return draught + margin < depth
end

# Short forms are functions too.
state(berth::Berth) = berth.ship === nothing ? free : taken

depths(berths::Vector{T}) where {T<:Berth} = map(berth -> berth.depth, berths)

Base.show(io::IO, berth::Berth) = print(io, "berth ", berth.number)

Base.:(==)(a::Berth, b::Berth) = a.number == b.number

@inline function number(berth::Berth)
    berth.number
end

(berth::Berth)(ship::String) = (berth.ship = ship; berth)

"Runs the code with a berth that is free afterwards."
macro with_berth(berth, code)
    quote
        try
            $(esc(code))
        catch problem
            @warn problem
        end
    end
end

function berths end

module Reports

function line(io, berth)
    open("report.txt") do file
        isempty(file) && return
        println(file, berth)
    end
end

end

end
