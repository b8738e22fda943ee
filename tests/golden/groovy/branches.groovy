void f(boolean a, boolean b) {
    if (a && b || a) {
        for (x in y) {
            while (b) {
            }
        }
    } else if (b) {
        g()
    } else {
        h()
    }
}
