function f(a, b)
if a && b || a
    for x = 1:3
        while b
        end
    end
elseif b
    g()
else
    h()
end
end
