{-# LANGUAGE LambdaCase #-}
-- | Orders of the shop.
module Shop.Order
  ( Order (..)
  , gross
  ) where

import qualified Data.Map.Strict as Map
import Data.List (sortBy, foldl')

-- | An order.
data Order = Order
  { orderNumber :: Int      -- ^ the number
  , orderLines  :: [Line]
  } deriving (Show, Eq)

newtype Line = Line { linePrice :: Double }

type Lines = [Line]

-- | What can be priced.
class Priced a where
  -- | The price without tax.
  net :: a -> Double

  withTax :: a -> Double
  withTax x = net x * 1.19

instance Priced Order where
  net (Order _ lines) = sum (map linePrice lines)

-- | Price with tax.
--
-- Negative prices are errors.
gross :: Double -> Maybe Double -> Double
gross 0 _ = 0
gross value (Just rate)
  | value < 0 && rate < 0 || value == rate = error "negative"
  | value > 100 = 100
  | otherwise = value * (1 + rate)
gross value Nothing =
  if value > 0
    then value
    else case value of
      0 -> 1
      _ -> helper value
  where
    helper x = x * 2

infixr 5 <+>
(<+>) :: Order -> Order -> Order
a <+> b = a { orderLines = orderLines a ++ orderLines b }

total :: [Order] -> Double
total = foldl' (\acc order -> acc + net order) 0

main :: IO ()
main = do
  let order = Order 1 []
  mapM_ print [order]
