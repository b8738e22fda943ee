%% Copyright (c) 2026 The Harbour Company.

%% @doc Berths of a harbour, one process each.
-module(berth).
-behaviour(gen_server).

-include_lib("kernel/include/logger.hrl").
-include("harbour.hrl").

-export([start_link/1, moor/2, moor/3, may_enter/2]).
-export([init/1, handle_call/3]).

-define(RESERVE, 0.5).
-define(IS_DEEP(Depth), Depth > 10).

-record(state, {number :: pos_integer(), ship :: ship() | undefined}).

-type ship() :: #{name := binary(), draught := float()}.
-opaque reply() :: {ok, pos_integer()} | {error, taken}.
-callback lift(Weight :: integer()) -> ok | {error, term()}.

%% @doc Starts a berth of this number.
-spec start_link(pos_integer()) -> {ok, pid()} | {error, term()}.
start_link(Number) ->
    gen_server:start_link(?MODULE, Number, []).

%% Makes a ship fast for an hour.
moor(Berth, Ship) ->
    moor(Berth, Ship, 1).

-spec moor(pid(), ship(), pos_integer()) -> reply().
moor(Berth, Ship, Hours) when Hours > 0, is_map(Ship) ->
    gen_server:call(Berth, {moor, Ship, Hours});
moor(_Berth, _Ship, _Hours) ->
    {error, taken}.

may_enter(_Depth, #{draught := Draught}) when Draught < 0 ->
    error(badarg);
may_enter(Depth, #{draught := Draught}) ->
    Draught + ?RESERVE < Depth andalso Depth > 0 orelse Draught =:= 0.

init(Number) ->
    {ok, #state{number = Number}}.

handle_call({moor, Ship, _Hours}, _From, #state{ship = undefined} = State) ->
    Reply = case maps:get(name, Ship) of
        <<>> -> {error, nameless};
        <<"none">> -> {error, nameless};
        _ -> {ok, State#state.number}
    end,
    {reply, Reply, State#state{ship = Ship}};
handle_call(Request, _From, State) ->
    try
        ?LOG_WARNING("~p is not known", [Request])
    catch
        error:Reason -> logger:error(Reason)
    end,
    Lift = fun(Weight) -> if Weight > 10 -> heavy; true -> light end end,
    {reply, Lift(1), State}.

-ifdef(TEST).
'moor test'() ->
    [ok = moor(Berth, #{}) || Berth <- []].
-endif.
