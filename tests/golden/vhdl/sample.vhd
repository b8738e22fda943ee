-- Counts the coins of a till.

library ieee;
use ieee.std_logic_1164.all;
use ieee.numeric_std.all;

--! States and sums of a till.
package till_pkg is
  type state_t is (idle, counting, locked);

  -- A coin as the slot reports it.
  type coin_t is record
    value : natural;
    valid : std_logic;
  end record;

  subtype amount_t is natural range 0 to 1000;

  -- Sum of two amounts, no more than the greatest one.
  function add(a, b : amount_t; constant bonus : in natural := 0) return amount_t;

  function "+"(left, right : coin_t) return coin_t;

  procedure say(signal lamp : out std_logic; text : in string);

  type counter_t is protected
    procedure increment(by : natural := 1);
    impure function value return natural;
  end protected counter_t;

  component slot is
    port (clk : in std_logic; coin : out coin_t);
  end component;
end package till_pkg;

package body till_pkg is

  function add(a, b : amount_t; constant bonus : in natural := 0) return amount_t is
  begin
    if a > 900 and b > 100 then
      return amount_t'high;
    end if;
    return a + b + bonus;
  end function add;

  -- Adds the values.
  function "+"(left, right : coin_t) return coin_t is
    variable both : coin_t := left;
  begin
    both.value := left.value + right.value;
    return both;
  end function "+";

  procedure say(signal lamp : out std_logic; text : in string) is
  begin
    lamp <= '1';
    report text;
  end procedure say;

end package body till_pkg;

library ieee;
use ieee.std_logic_1164.all;

-- A till with slots for coins.
-- It locks when it is full.
entity till is
  generic (SLOTS : positive := 2);
  port (
    clk   : in  std_logic;
    rst   : in  std_logic;
    full  : out std_logic
  );
end entity till;

architecture rtl of till is
  signal state : state_t;
  signal sum   : amount_t;

  function is_full(amount : amount_t) return boolean is
  begin
    return amount = amount_t'high;
  end function;
begin

  -- Next state.
  control : process (clk)
  begin
    if rising_edge(clk) then
      case state is
        when idle => state <= counting;
        when counting =>
          if is_full(sum) or rst = '1' then
            state <= locked;
          end if;
        when others => null;
      end case;
    end if;
  end process control;

  process (state)
  begin
    full <= '1' when state = locked else '0';
  end process;

  slots : for i in 0 to SLOTS - 1 generate
    one : entity work.slot port map (clk => clk, coin => open);

    watch : process (clk)
    begin
      wait on clk;
    end process watch;
  end generate slots;

end architecture rtl;

configuration till_default of till is
  for rtl
  end for;
end configuration till_default;
