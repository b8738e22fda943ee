# Orders of the shop.
library(dplyr)
require("stats")
source("money.R")

rate <- 0.19

#' Price with tax.
#'
#' @param net the price
#' @export
gross <- function(net, rate = 0.19, ...) {
  if (net < 0 && rate < 0 || is.na(net)) {
    stop("negative")
  } else if (net == 0) {
    return(0)
  } else {
    for (i in seq_along(net)) {
      while (TRUE) {
        break
      }
    }
  }
  switch(class(net), numeric = net * (1 + rate), NULL)
}

# Prints an order.
print.order = function(x) {
  repeat {
    cat(x$number)
  }
}

total <- \(lines) sum(sapply(lines, function(line) if (line$open) line$price else 0))

setClass("Order", representation(number = "numeric"))

setMethod("show", "Order", function(object) {
  cat("order", object@number)
})

Account <- R6Class("Account",
  public = list(
    balance = 0,
    deposit = function(x) {
      self$balance <- self$balance + x
      invisible(self)
    }
  )
)

gross(1) -> result
