// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

import "./IHarbour.sol";
import {Ownable} from "./Ownable.sol";

/// @dev Weights are in tonnes.
type Weight is uint128;

struct Ship {
    string name;
    uint256 draught;
}

/**
 * @title Berths of a harbour.
 */
contract Harbour is IHarbour, Ownable {
    enum State {
        Free,
        Taken
    }

    /// Emitted when a ship was made fast.
    event Moored(uint256 indexed berth, address ship);

    error TooDeep(uint256 draught);

    mapping(uint256 => address) private ships;
    uint256 public depth;

    modifier onlyFree(uint256 berth) {
        require(ships[berth] == address(0), "taken");
        _;
    }

    constructor(uint256 depth_) {
        depth = depth_;
    }

    receive() external payable {}

    /// @notice Makes a ship fast.
    /// @param berth its number
    function moor(uint256 berth, Ship memory ship) external override onlyFree(berth) returns (bool) {
        if (ship.draught > depth && depth > 0 || berth == 0) {
            revert TooDeep(ship.draught);
        } else if (berth > 100) {
            return false;
        } else {
            ships[berth] = msg.sender;
        }
        for (uint256 other = 0; other < berth; other++) {
            while (ships[other] == msg.sender) {
                delete ships[other];
            }
        }
        try this.report(berth) returns (uint256 fee) {
            depth = fee > 0 ? depth : 0;
        } catch {
            depth = 0;
        }
        emit Moored(berth, msg.sender);
        return true;
    }

    function report(uint256 berth) public view virtual returns (uint256 fee, address ship) {
        return (berth * 10, ships[berth]);
    }
}

interface IHarbour {
    function moor(uint256 berth, Ship memory ship) external returns (bool);
}

library Depths {
    // The deeper one.
    function max(uint256 a, uint256 b) internal pure returns (uint256) {
        return a > b ? a : b;
    }
}

function fathoms(uint256 metres) pure returns (uint256) {
    return metres * 100 / 183;
}
