using System;
using System.Collections.Generic;
using static System.Math;

namespace Shop.Orders
{
    /// <summary>
    /// Stores orders.
    /// </summary>
    [Service]
    [Obsolete("old")]
    public partial class OrderService<T> : Base, IDisposable where T : Line
    {
        private readonly List<T> lines = new();
        public event EventHandler Changed;

        /// <summary>Makes a service.</summary>
        /// <param name="name">its name</param>
        public OrderService(string name = "orders") : base(name)
        {
        }

        public int Count { get; private set; }

        public decimal Total
        {
            get
            {
                decimal sum = 0;
                foreach (var line in lines)
                {
                    if (line.IsOpen && line.Price > 0 || line.IsFree)
                    {
                        sum += line.Price;
                    }
                    else if (line.Price < 0)
                    {
                        goto done;
                    }
                    else
                    {
                        sum += 1;
                    }
                }
                done:
                return sum;
            }
        }

        public T this[int index] => lines[index];

        [HttpGet]
        public async Task<T?> Find<TKey>(TKey key, [FromQuery] int? page, params string[] tags)
        {
            try
            {
                switch (page)
                {
                    case 1:
                        return lines[0];
                    case 2:
                    default:
                        return null;
                }
            }
            catch (KeyNotFoundException e) when (e.Data.Count > 0)
            {
                return key switch { 1 => lines[1], _ => fallback ?? lines[2] };
            }
        }

        public static OrderService<T> operator +(OrderService<T> a, OrderService<T> b) => a;

        void IDisposable.Dispose()
        {
            int Local(int x) { return x; }
            Func<int, bool> positive = x => x > 0 ? true : false;
        }

        public enum State { Open, Closed }
    }

    /// <summary>A line.</summary>
    public record Line(string Sku, decimal Price)
    {
        public decimal Gross() => Price * 1.19m;
    }

    public struct Point { public int X; }

    public interface IPriced
    {
        decimal Net();
    }

    public delegate void Handler(object sender);
}
