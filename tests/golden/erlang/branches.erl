f(A, B) ->
    case A andalso B orelse A of
        true ->
            [[Y || Y <- X, B] || X <- A];
        1 -> if B -> g(); true -> h() end;
        2 -> ok;
        _ -> h()
    end.
