;;;; Count the till of a small shop.

(defpackage #:shop.till
  (:use #:cl)
  (:documentation "Prices, lines and drawers.")
  (:export #:total #:open-till))

(in-package #:shop.till)

(defvar *currency* "EUR" "Currency in which amounts are shown.")

(define-condition empty-till (error)
  ((drawer :initarg :drawer))
  (:documentation "The till is empty.")
  (:report "empty"))

(defstruct (line (:constructor make-line (name price)))
  "One line of a receipt."
  name
  (price 0 :type fixnum))

(defclass drawer (standard-object)
  ((coins :initarg :coins :accessor coins :initform nil))
  (:documentation "A drawer that holds coins."))

(deftype price ()
  "Whole cents."
  '(integer 0 *))

(declaim (inline half))

;; Prices are whole cents.
(defun half (price)
  (floor price 2))

(defun total (lines &optional (discount 0) &key quiet &aux sum)
  "Sum LINES and take DISCOUNT off."
  (declare (type list lines))
  (setf sum (loop for line in lines
                  when (and (line-p line) (plusp (line-price line)))
                    sum (line-price line)))
  (cond ((zerop sum) (error 'empty-till))
        ((or quiet (minusp discount)) sum)
        (t (- sum discount))))

(defun weighted (lines)
  "Misleads a grammar that knows only some clauses of loops."
  (loop with sum of-type fixnum = 0
        for line of-type line in lines
        do (incf sum (line-price line))
        finally (return sum)))

(defun (setf title) (text drawer)
  (setf (get drawer 'title) text))

(defgeneric close-till (place &key)
  (:documentation "Close a place."))

(defmethod close-till :before ((place drawer) &key quietly)
  "Say so first."
  (unless quietly
    (handler-case (print "closing")
      (stream-error (condition) (print condition)))))

(defmethod close-till ((place (eql :all)) &key)
  (ecase *currency*
    (:eur 1)
    (:usd 2)
    (otherwise 3)))

(defmacro with-open-till ((drawer &rest coins) &body body)
  "Run BODY with DRAWER open."
  `(progn
     (defun open-inside () ,@coins)
     (mapcar (lambda (coin) coin) ,drawer)
     ,@body))

#+sbcl
(defun only-here ()
  "Depends on the implementation."
  (sb-ext:gc))

(define-digest-for drawer (stream buffer)
  (read-sequence buffer stream))

#|
(defun taken-out ()
  nil)
|#
