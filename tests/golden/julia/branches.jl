function f(a, b)
    if a && b || a
        for x in y
            while b
            end
        end
    elseif b
        g()
    else
        h()
    end
end
