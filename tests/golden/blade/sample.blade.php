@extends('layouts.bakery')

@section('title', 'Orders')

{{-- The list of what is to be baked today; @section('no') is a comment. --}}
@section('content')
  <h1>Orders of {{ $day->format('l') }}</h1>

  @include('orders.filter', ['states' => $states])

  @forelse ($orders as $order)
    <article class="order">
      <h2>{{ $order->customer }}</h2>
      <p>{{ $order->total }} for {{ $order->lines->count() }} breads, fetched at {{ $order->hour }}.</p>
      @can('bake', $order)
        <button wire:click="bake({{ $order->id }})">Bake</button>
      @endcan
    </article>
  @empty
    <p>Nobody has ordered anything for this day.</p>
  @endforelse

  @component('components.notice')
    @slot('title')
      The oven is cold
    @endslot
    Baking begins at four o'clock, and what is ordered later is baked on the next day.
  @endcomponent

  @push('scripts')
    <script>
      function reload() {
        window.location.reload();
      }
    </script>
  @endpush
@endsection

@section('footer')
  @parent
  <p>Questions: orders@bakery.example</p>
  <p>Orders of more than twenty breads are fetched at the back door of the bakery.</p>
@endsection

@verbatim
  <p>{{ count }} orders, @section('no') are none</p>
@endverbatim
