# frozen_string_literal: true

require 'json'
require_relative 'money'

RATE = 0.19

# Everything about orders.
module Shop
  # Stores orders.
  class OrderService < Base
    include Comparable
    attr_reader :lines

    STATES = %i[open closed].freeze

    # Makes a service.
    def initialize(lines, name = 'orders', *rest, currency: 'EUR', **options, &block)
      @lines = lines
      super()
    end

    # Sum of all lines.
    #
    # @return [Float]
    def total
      sum = 0
      lines.each do |line|
        if line.open? && line.price.positive?
          sum += line.price
        elsif line.price.negative? or line.free?
          next
        else
          sum += 1 unless line.hidden?
        end
      end
      case sum
      when 0 then nil
      when 1..5
        sum
      else
        sum > 10 ? 10 : sum
      end
    rescue ArgumentError => e
      retry while e.nil?
    end

    def self.load(path)
      JSON.parse(File.read(path))
    end

    class << self
      def create
        new([])
      end
    end

    private

    def <=>(other)
      total <=> other.total
    end
  end

  module Helpers
    def helper; end
  end
end

def top_level(value)
  until value.zero?
    value -= 1
  end
end

RSpec.describe Shop::OrderService do
  it 'starts empty' do
    expect(described_class.new([]).total).to be_nil
  end
end
