#!/usr/bin/env escript
%% Definitions of Erlang files as the parser of its syntax tools sees them: a line of JSON for each.
%% File names come on standard input, one a line. Forms that are no Erlang, as the rules of a grammar, are left out.
-mode(compile).

main(_) ->
    io:setopts(standard_io, [{encoding, latin1}]),
    lines().

lines() ->
    case io:get_line("") of
        eof -> ok;
        Line ->
            Path = string:trim(Line),
            {ok, Forms} = epp_dodger:quick_parse_file(Path),
            lists:foreach(fun(Form) -> form(Path, Form) end, Forms),
            lines()
    end.

form(Path, {function, Line, Name, _, _}) -> print(Path, Name, "function", Line);
form(Path, {attribute, Line, record, {Name, _}}) -> print(Path, Name, "record", Line);
form(Path, {attribute, Line, type, {Name, _, _}}) -> print(Path, Name, "type", Line);
form(Path, {attribute, Line, opaque, {Name, _, _}}) -> print(Path, Name, "type", Line);
form(Path, {attribute, Line, callback, {{Name, _}, _}}) -> print(Path, Name, "callback", Line);
form(_, _) -> ok.

print(Path, Name, Kind, Line) when is_atom(Name) ->
    Written = [case lists:member(C, "\\\"") of true -> [$\\, C]; false -> C end || C <- atom_to_list(Name)],
    io:format("{\"path\": \"~ts\", \"name\": \"~ts\", \"kind\": \"~s\", \"line\": ~b, \"local\": false}~n",
              [Path, Written, Kind, erl_anno:line(Line)]);
print(_, _, _, _) -> ok.
