defmodule Shop.Order do
  @moduledoc """
  Orders of the shop.
  """
  use GenServer
  import Ecto.Query, only: [from: 2]
  alias Shop.{Line, Money}
  require Logger

  @rate 0.19

  defstruct [:number, lines: []]

  @type t :: %__MODULE__{number: integer()}

  @doc """
  Price with tax.
  """
  @spec gross(float(), float()) :: float()
  def gross(net, rate \\ @rate)

  def gross(net, rate) when is_float(net) and rate > 0 do
    if net > 0 && rate < 1 do
      net * (1 + rate)
    else
      case net do
        0 -> 0
        x when x < 0 -> -1
        _ -> nil
      end
    end
  end

  def gross(0, _rate), do: 0

  # Adds a line.
  @impl true
  def handle_call({:add, %Line{} = line}, _from, state) do
    state =
      cond do
        line.free -> state
        true -> [line | state]
      end

    with {:ok, a} <- fetch(line),
         {:ok, b} <- fetch(a) do
      {:reply, b, state}
    else
      :error -> {:reply, nil, state}
    end
  rescue
    e in ArgumentError -> Logger.error(e)
  end

  defp total(lines) do
    for %{price: price} <- lines, price > 0, reduce: 0 do
      sum -> sum + price
    end
    |> then(fn sum -> unless sum > 0 or sum < -1, do: sum end)
  end

  defmacro order(number, do: block) do
    quote do
      unquote(block)
    end
  end

  defguard is_open(order) when order.state == :open

  defmodule Line do
    @moduledoc false
    def new, do: %{}
  end
end

defprotocol Shop.Priced do
  @doc "The price without tax."
  def net(item)
end

defimpl Shop.Priced, for: Shop.Order do
  def net(order), do: order.net
end

defmodule Shop.OrderTest do
  use ExUnit.Case

  describe "gross/2" do
    test "adds the tax", %{order: order} do
      assert Shop.Order.gross(1.0) == 1.19
    end
  end
end
