// Copyright (c) 2026 The Harbour Company. All rights reserved.

#import <Foundation/Foundation.h>
#import "HCBerth.h"
@import UIKit;

NS_ASSUME_NONNULL_BEGIN

/// What a berth is used for at the moment.
typedef NS_ENUM(NSInteger, HCBerthState) {
  HCBerthStateFree,
  HCBerthStateTaken,
};

typedef void (^HCArrivalHandler)(NSString *ship, BOOL inTime);

@class HCPilot;

/**
 * Somebody who can be asked to bring a ship in.
 */
@protocol HCPiloting <NSObject>
@required
/// Brings the ship to a berth, and tells its number.
- (NSInteger)bringShip:(NSString *)ship toBerth:(NSInteger)berth error:(NSError **)error;
@optional
@property (nonatomic, copy, readonly) NSString *callSign;
- (void)rest;
@end

/** The harbour with all of its berths. */
NS_SWIFT_NAME(Harbour)
@interface HCHarbour : NSObject <HCPiloting, NSCopying>

@property (nonatomic, strong, readonly) NSArray<HCBerth *> *berths;
@property (nonatomic, weak, nullable) id<HCPiloting> pilot;
@property (nonatomic, copy, nullable) HCArrivalHandler onArrival;

+ (instancetype)sharedHarbour;
- (instancetype)initWithBerths:(NSArray<HCBerth *> *)berths NS_DESIGNATED_INITIALIZER;
- (instancetype)init NS_UNAVAILABLE;

@end

NS_ASSUME_NONNULL_END

static NSString *const HCShipKey = @"ship";

/// The deepest draught that the channel lets in, in metres.
static inline CGFloat HCDeepestDraught(CGFloat tide, CGFloat depth) {
  return depth + tide - 0.5;
}

#pragma mark - Private

@interface HCHarbour ()
@property (nonatomic, strong) NSMutableDictionary<NSString *, NSNumber *> *bookings;
- (BOOL)mayEnter:(NSString *)ship;
@end

@implementation HCHarbour

+ (instancetype)sharedHarbour {
  static HCHarbour *harbour;
  static dispatch_once_t once;
  dispatch_once(&once, ^{
    harbour = [[self alloc] initWithBerths:@[]];
  });
  return harbour;
}

/// Takes the berths in the order of their numbers.
- (instancetype)initWithBerths:(NSArray<HCBerth *> *)berths {
  self = [super init];
  if (self) {
    _berths = [berths copy];
    _bookings = [NSMutableDictionary dictionary];
  }
  return self;
}

- (NSInteger)bringShip:(NSString *)ship toBerth:(NSInteger)berth error:(NSError **)error {
  if (![self mayEnter:ship] || berth < 0) {
    return NSNotFound;
  }
  @try {
    self.bookings[ship] = @(berth);
  } @catch (NSException *exception) {
    NSLog(@"%@ found no berth: %@", ship, exception);
    return NSNotFound;
  } @finally {
    [self.pilot rest];
  }
  for (HCBerth *candidate in self.berths) {
    switch (candidate.state) {
      case HCBerthStateFree:
        if (candidate.number == berth && self.onArrival != nil) {
          self.onArrival(ship, YES);
        }
        break;
      default:
        break;
    }
  }
  return berth;
}

- (BOOL)mayEnter:(NSString *)ship {
#if DEBUG
  return YES;
#else
  return self.bookings[ship] == nil;
#endif
}

#pragma mark - NSCopying

- (id)copyWithZone:(nullable NSZone *)zone {
  return [[[self class] allocWithZone:zone] initWithBerths:self.berths];
}

@end

@implementation HCHarbour (Statistics)

// Counts the berths that a predicate, which gets each of them, takes.
- (NSUInteger)countOfBerthsPassing:(BOOL (^)(HCBerth *berth))predicate {
  NSUInteger count = 0;
  for (HCBerth *berth in self.berths) {
    count += predicate(berth) ? 1 : 0;
  }
  return count;
}

@end
