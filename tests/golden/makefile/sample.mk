# Builds the bakery's tools.
include common.mk
-include local.mk

CC ?= cc
OBJECTS := order.o bread.o
VERSION = $(shell git describe)

.PHONY: all clean test

# Everything that is shipped.
all: print-orders recipes.json

## Print what is to be baked.
print-orders: $(OBJECTS) | build
	$(CC) -o $@ $^
	@echo built $@

%.o: %.c bakery.h
	$(CC) -c $< -o $@

ifeq ($(OS),Windows_NT)
install: print-orders
	copy print-orders.exe C:\bakery
else ifdef DESTDIR
install: print-orders
	install -m 755 print-orders $(DESTDIR)/bin
else
install:
	@echo set DESTDIR
endif

recipes.json recipes.csv: recipes.txt
	./convert $< > $@

test: all ## Check the orders of last week.
	for day in mon tue; do \
	  ./print-orders --check $$day || exit 1; \
	done

define recipe_rule
$(1).recipe: $(1).txt
	./recipe $(1)
endef

$(foreach bread,rye wheat,$(eval $(call recipe_rule,$(bread))))

clean:
	rm -f print-orders $(OBJECTS)
