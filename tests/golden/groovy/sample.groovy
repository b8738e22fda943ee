package harbour.berths

import groovy.transform.CompileStatic
import java.time.Instant

/**
 * Where ships lie.
 */
@CompileStatic
class Berth extends Place implements Comparable<Berth> {

    final int number
    String ship
    static int count = 0

    Berth(int number) {
        this.number = number
        count++
    }

    /** Makes a ship fast for some hours. */
    boolean moor(String ship, int hours = 1) {
        if (ship && hours > 0 || force) {
            for (other in berths) {
                while (other.isTaken()) {
                    other.leave()
                }
            }
        } else if (hours == 0) {
            return false
        } else {
            throw new IllegalArgumentException("hours")
        }
        this.ship = ship
        return true
    }

    // Empty names are no ships.
    static String label(String ship) {
        switch (ship) {
            case null:
                return "free"
            case "":
                return "unknown"
            default:
                return ship
        }
    }

    private List<String> names(List<Berth> berths) {
        try {
            return berths.collect { it.ship }
        } catch (NullPointerException problem) {
            return []
        }
    }

    enum State {
        FREE, TAKEN
    }
}

interface Lifting {
    void lift(int weight)
}

trait Named {
    String title() { "the " + name }
}

def report(berths, Instant at) {
    berths.each { println "${at}: ${it.ship}" }
}

def "a free berth takes a ship"() {
    expect:
    new Berth(1).moor("Anna")
}

task listBerths(type: Exec) {
    commandLine "ls"
}

tasks.register("checkBerths") {
    doLast { println "checked" }
}
