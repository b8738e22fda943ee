(ns harbour.berths
  "Berths of a harbour, and which ship lies where."
  (:require [clojure.string :as str]
            [harbour.tides :as tides])
  (:import (java.time Instant)))

(def ^:private reserve
  "Metres of water that stay below a ship."
  0.5)

(defonce berths (atom {}))

(defprotocol Mooring
  "What ships are made fast to."
  (moor [this ship] [this ship hours] "Makes the ship fast.")
  (free? [this] "Tells whether no ship lies there."))

(defrecord Berth [number ship]
  Mooring
  (moor [this new-ship]
    (assoc this :ship new-ship))
  (free? [_]
    (nil? ship)))

(deftype Crane [^long limit]
  Object
  (toString [_] (str "crane up to " limit)))

(defn may-enter?
  "Tells whether a ship may enter at this depth."
  {:added "1.2"}
  [depth {:keys [draught]} & {:keys [margin] :or {margin reserve}}]
  (and (pos? depth)
       (or (nil? draught)
           (< (+ draught margin) depth))))

;; Counts only what is known.
(defn- count-free
  ([] (count-free (vals @berths)))
  ([found]
   (loop [left found total 0]
     (cond
       (empty? left) total
       (free? (first left)) (recur (rest left) (inc total))
       :else (recur (rest left) total)))))

(defmacro with-berth
  "Binds the berth of a number while the body runs."
  [[name number] & body]
  `(let [~name (get @berths ~number)]
     (when ~name
       ~@body)))

(defmulti fee
  "The fee of a ship, by its kind."
  :kind)

(defmethod fee :ferry [{:keys [length]}]
  (if (> length 100)
    (* 2 length)
    length))

(defmethod fee :default [_] 0)

(extend-protocol Mooring
  nil
  (free? [_] true)
  String
  (moor [name ship] (str/join "-" [name ship])))

(def lengths (comp (map :length) (filter some?)))

(defn ^String report [^Instant at]
  (doseq [[number berth] @berths
          :when (not (free? berth))]
    (println number (tides/height at) (:ship berth)))
  (str at))

#?(:clj (defn now [] (Instant/now)))

(comment
  (swap! berths assoc 1 (->Berth 1 nil)))
