(defn f [a b]
  (if (or (and a b) a)
    (doseq [x y]
      (while b))
    (if b (g) (h))))
