def f(a, b):
    if a and b or a:
        for x in a:
            for y in b:
                pass
    elif b:
        pass
    else:
        pass
