// Counts the coins of a till.

`include "till_defines.svh"
`define MAX_COINS(width) \
  ((1 << width) - 1)

// States and sums.
package till_pkg;
  import uvm_pkg::*;

  typedef enum logic [1:0] {
    Idle,
    Counting,
    Locked
  } state_e;

  // A coin as the slot reports it.
  typedef struct packed {
    logic [7:0] value;
    logic       valid;
  } coin_t;

  // Sum of two amounts, no more than the greatest one.
  function automatic int unsigned add(int unsigned a, b, input int bonus = 0);
    if (a > 900 && b > 100) return `MAX_COINS(10);
    return a + b + bonus;
  endfunction : add

  import "DPI-C" context function int c_total(input int prices[]);
endpackage : till_pkg

/* A till with slots for coins.
 * It locks when it is full.
 */
module till
  import till_pkg::*;
#(
  parameter int Slots = 2
) (
  input  logic clk_i,
  input  logic rst_ni,
  output logic full_o
);
  state_e state_q;

  // Next state.
  always_ff @(posedge clk_i or negedge rst_ni) begin : control
    if (!rst_ni) begin
      state_q <= Idle;
    end else begin
      unique case (state_q)
        Idle: state_q <= Counting;
        Counting: if (full_o || !clk_i) state_q <= Locked;
        default: ;
      endcase
    end
  end

  assign full_o = (state_q == Locked) ? 1'b1 : 1'b0;

  for (genvar i = 0; i < Slots; i++) begin : gen_slots
    slot u_slot (.clk_i, .coin_o());

    function automatic logic is_first();
      return i == 0;
    endfunction
  end

  task automatic say(input string text, ref logic lamp);
    lamp = 1;
    for (int i = 0; i < 3; i++) $display("%s", text);
  endtask

  `ASSERT(Full_A, full_o |-> state_q == Locked)

  property p_locked;
    @(posedge clk_i) full_o |=> state_q == Locked;
  endproperty
  assert property (p_locked) else $error("not locked");
endmodule : till

module counter (clk, sum);
  input clk;
  output [7:0] sum;

  function [7:0] twice;
    input [7:0] value;
    twice = value << 1;
  endfunction
endmodule

interface till_if (input logic clk);
  logic coin;
  modport slot (output coin, import put);

  task put(input logic value);
    coin <= value;
  endtask
endinterface

// An item of a test.
virtual class till_item #(type T = int) extends uvm_sequence_item;
  rand T amount;
  constraint c_amount { amount > 0; if (amount > 5) amount < 9; }
  `uvm_object_param_utils(till_item#(T))

  covergroup cg_amount with function sample(T value);
    coverpoint value { bins low = {[0:3]}; }
  endgroup

  // Make an item.
  function new(string name = "till_item");
    super.new(name);
    cg_amount = new();
  endfunction

  // Spend it.
  extern virtual function bit spend(T amount);
  pure virtual task run(uvm_phase phase);

  static function till_item#(T) make();
    return null;
  endfunction
endclass : till_item

function bit till_item::spend(T amount);
  `uvm_info("TILL", $sformatf("spend %0d; function", amount), UVM_LOW)
  do amount--; while (amount > 0);
  return amount == 0;
endfunction

interface class closeable;
  pure virtual function void close();
endclass
