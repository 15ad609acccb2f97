"""Word problems: shopping, sharing, travel, shapes, money, comparisons and ages."""

from __future__ import annotations

from recipes.embedded.problems.dice import NAMES, Dice, Problem
from recipes.embedded.problems.steps import difference, product, quotient, share, so, total


def discount(dice: Dice) -> Problem:
    p, price = dice.choice((10, 20, 25, 30, 50)), dice.between(1, 12) * 20
    thing = dice.choice(("coat", "bike", "lamp", "phone", "chair", "jacket", "watch", "table"))
    off = price * p // 100
    ask = dice.ask(
        f"A {thing} costs ${price} and is sold at {p}% off. What is the new price?",
        f"The price of a {thing} is {price} dollars. How much does it cost after a discount of {p}%?",
        f"A shop takes {p}% off a ${price} {thing}. How much do you pay?",
        f"A {thing} of ${price} is reduced by {p}%. What is the price now?",
        f"How much is a ${price} {thing} with a {p}% discount?",
        f"In the sale a {thing} of ${price} is {p}% cheaper. What does it cost now?",
    )
    return ask, so(f"{share(p, price)}.\nThe new price is {difference(price, off)}", price - off)


def buying(dice: Dice) -> Problem:
    name, thing = dice.choice(NAMES), dice.thing()
    n, price = dice.between(2, 12), dice.between(2, 25)
    ask = dice.ask(
        f"{name} buys {n} {thing} at ${price} each. How much does {name} pay in total?",
        f"One pack of {thing} costs ${price}. How much do {n} packs cost?",
        f"If {name} needs {n} {thing} and each costs {price} dollars, what is the total cost?",
        f"{n} boxes of {thing} cost {price} euros each. What is the price of all of them?",
        f"What do {n} {thing} cost if one costs ${price}?",
        f"{name} sells {n} {thing} for {price} dollars each. How much money does {name} get?",
        f"How much will {name} spend on {n} {thing} that cost ${price} apiece?",
    )
    return ask, so(f"The total is {product(n, price)}", n * price)


def change(dice: Dice) -> Problem:
    name, thing = dice.choice(NAMES), dice.thing()
    n, price = dice.between(2, 9), dice.between(2, 11)
    note = 50 if n * price < 50 else 100
    ask = dice.ask(
        f"{name} buys {n} {thing} for ${price} each and pays with a ${note} bill. How much change does {name} get?",
        (
            f"{thing.capitalize()} cost {price} dollars each. {name} buys {n} and pays with {note} dollars. "
            "What is the change?"
        ),
        f"{name} has ${note} and buys {n} {thing} at ${price} each. How much money is left?",
        f"With a ${note} bill {name} pays {n} {thing} that cost ${price} each. How much does {name} get back?",
        f"{name} gives the shop ${note} for {n} {thing} at ${price} each. How much comes back?",
        f"From a ${note} note, {name} pays for {n} {thing} at ${price} apiece. How many dollars come back?",
    )
    cost = n * price
    return ask, so(f"The cost is {product(n, price)}.\nThe change is {difference(note, cost)}", note - cost)


def giving(dice: Dice) -> Problem:
    (name, other), thing = dice.people(), dice.thing()
    a, b, c = dice.between(15, 90), dice.between(2, 14), dice.between(2, 30)
    ask = dice.ask(
        f"{name} has {a} {thing}, gives {b} to {other} and then finds {c} more. How many {thing} does {name} have now?",
        f"{name} had {a} {thing}. {other} took {b} of them, and later {name} bought {c} more. How many are there now?",
        f"There are {a} {thing} in a box. {name} takes out {b} and {other} puts in {c}. How many are in the box?",
        f"A shop has {a} {thing}. It sells {b} and then gets {c} new ones. How many {thing} does it have?",
        (
            f"{name} starts with {a} {thing}, gives away {b} and gets {c} from {other}. "
            f"How many does {name} have at the end?"
        ),
        f"{name} owned {a} {thing}, lost {b} of them and was given {c} by {other}. How many {thing} are there now?",
        (
            f"{name} starts the day with {a} {thing}, loses {b} and wins {c} from {other}. "
            f"How many does {name} end up with?"
        ),
    )
    return ask, so(f"{difference(a, b)}.\n{total(a - b, c)}", a - b + c)


def left(dice: Dice) -> Problem:
    (name, other), thing = dice.people(), dice.thing()
    a, b, c = dice.between(40, 120), dice.between(2, 20), dice.between(2, 19)
    ask = dice.ask(
        f"{name} has {a} {thing}. {name} gives {b} to {other} and {c} to a neighbour. How many are left?",
        f"There were {a} {thing}. {b} were sold in the morning and {c} in the afternoon. How many remain?",
        f"{name} baked {a} {thing}, ate {b} and gave away {c}. How many {thing} are left?",
        f"{name} had {a} {thing}, used {b} on Monday and {c} on Tuesday. How many are left?",
        f"Out of {a} {thing}, {b} are red, {c} are blue and the others are green. How many are green?",
        f"Of the {a} {thing} that {name} had, {b} got lost and {c} were stolen. How many does {name} still have?",
        f"Of {a} {thing}, {b} are broken and {c} are lost. How many {thing} can {name} still use?",
    )
    return ask, so(f"{difference(a, b)}.\n{difference(a - b, c)}", a - b - c)


def sharing(dice: Dice) -> Problem:
    name, thing = dice.choice(NAMES), dice.thing()
    friends, each = dice.between(2, 12), dice.between(2, 20)
    whole = friends * each
    ask = dice.ask(
        f"{name} shares {whole} {thing} equally among {friends} friends. How many does each friend get?",
        f"{whole} {thing} are packed into {friends} boxes with the same number in each. How many are in one box?",
        f"{friends} children share {whole} {thing} equally. How many {thing} does each child get?",
        f"{name} puts {whole} {thing} into bags of {friends}. How many bags are needed?",
        f"{whole} {thing} are divided equally between {friends} groups. How many does each group have?",
        f"If {whole} {thing} are split evenly between {friends} people, what does every person receive?",
    )
    return ask, so(quotient(whole, friends), each)


def travel(dice: Dice) -> Problem:
    speed, hours = dice.between(2, 12) * 10, dice.between(2, 9)
    ask = dice.ask(
        f"A train travels at {speed} km per hour for {hours} hours. How far does it go?",
        f"How many miles does a car cover in {hours} hours at {speed} miles per hour?",
        f"A bus goes {speed} km every hour. What distance does it cover in {hours} hours?",
        f"{dice.choice(NAMES)} rides at {speed} km/h for {hours} hours. How many kilometres is that?",
        f"{dice.choice(NAMES)} drives for {hours} hours at {speed} km/h. How many kilometres is that?",
    )
    return ask, so(f"Distance is speed times time: {product(speed, hours)}", speed * hours)


def time_taken(dice: Dice) -> Problem:
    speed, hours = dice.between(2, 12) * 10, dice.between(2, 9)
    far = speed * hours
    ask = dice.ask(
        f"How long does it take to drive {far} km at {speed} km per hour?",
        f"A train covers {far} miles at {speed} miles per hour. How many hours does it take?",
        f"{dice.choice(NAMES)} drives {far} km at a speed of {speed} km/h. How many hours is that?",
        f"A trip of {far} km at {speed} km per hour: how many hours does it take?",
        f"How many hours does a bus need for {far} km if it goes {speed} km every hour?",
        f"The distance is {far} km and the speed is {speed} km/h. How many hours does the trip last?",
    )
    return ask, so(f"Time is distance divided by speed: {far} / {speed} = {hours}", hours)


def area(dice: Dice) -> Problem:
    a, b = dice.between(2, 12), dice.between(2, 40)
    shape = dice.choice(("rectangle", "rectangular garden", "room", "field", "rectangular pool"))
    ask = dice.ask(
        f"A {shape} is {b} metres long and {a} metres wide. What is its area?",
        f"What is the area of a {shape} with length {b} and width {a}?",
        f"Find the area of a {shape} of {b} m by {a} m.",
        f"Calculate the area of a {shape} that measures {b} by {a} metres.",
        f"How large is a {shape} of {b} m times {a} m in square metres?",
        f"How many square metres does a {shape} of {b} by {a} metres cover?",
    )
    return ask, so(f"Area is length times width: {product(b, a)}", a * b)


def perimeter(dice: Dice) -> Problem:
    a, b = dice.between(2, 30), dice.between(2, 30)
    shape = dice.choice(("rectangle", "rectangular garden", "room", "field", "yard"))
    ask = dice.ask(
        f"What is the perimeter of a {shape} with sides of {a} m and {b} m?",
        f"A {shape} is {a} metres long and {b} metres wide. What is its perimeter?",
        f"{dice.choice(NAMES)} walks once around a {shape} that is {a} m by {b} m. How far is that?",
        f"A fence goes all around a {shape} of {a} m by {b} m. How long is the fence?",
        f"How many metres of fence does it take to go around a {shape} of {a} by {b} metres?",
        f"How long a fence does a {shape} of {a} by {b} metres need?",
    )
    both = a + b
    return ask, so(f"The two sides are {total(a, b)}.\nThe perimeter is {product(2, both)}", 2 * both)


def saving(dice: Dice) -> Problem:
    name, each, weeks, spent = dice.choice(NAMES), dice.between(3, 25), dice.between(3, 12), dice.between(2, 9)
    whole = each * weeks
    ask = dice.ask(
        (
            f"{name} saves ${each} a week for {weeks} weeks and then spends ${spent}. "
            f"How much money does {name} have left?"
        ),
        f"{name} earns {each} dollars a day. After {weeks} days {name} spends {spent} dollars. How much is left?",
        (
            f"Every month {name} puts ${each} in a jar. After {weeks} months {name} takes out ${spent}. "
            "What is in the jar?"
        ),
        f"{name} sells {weeks} cakes at ${each} each and pays ${spent} for the stand. How much does {name} keep?",
        (
            f"{name} is paid ${each} for each walk with a dog. After {weeks} walks {name} buys a toy for ${spent}. "
            "What is left?"
        ),
        f"{name} gets ${each} for each lawn. How much does {name} have after mowing {weeks} lawns and paying ${spent}?",
    )
    return ask, so(f"{product(each, weeks)}.\n{difference(whole, spent)}", whole - spent)


def wages(dice: Dice) -> Problem:
    name, rate, hours, days = dice.choice(NAMES), dice.between(5, 12), dice.between(2, 8), dice.between(2, 6)
    whole = hours * days
    ask = dice.ask(
        f"{name} works {hours} hours a day for {days} days and earns ${rate} an hour. How much does {name} earn?",
        f"{name} is paid {rate} dollars per hour. How much is that for {days} days of {hours} hours?",
        f"{name} works {days} days a week, {hours} hours each day, at ${rate} an hour. What is the weekly pay?",
        f"At ${rate} an hour, how much does {name} make in {days} days with {hours} hours each?",
        f"A job pays ${rate} an hour. {name} does {hours} hours on each of {days} days. What is the pay?",
    )
    return ask, so(f"{product(hours, days)} hours.\n{product(whole, rate)}", whole * rate)


def more(dice: Dice) -> Problem:
    (name, other), thing = dice.people(), dice.thing()
    a, b = dice.between(5, 60), dice.between(2, 30)
    ask = dice.ask(
        f"{name} has {a} {thing}. {other} has {b} more than {name}. How many {thing} do they have together?",
        f"{name} collected {a} {thing} and {other} collected {b} more than {name}. How many do they have in total?",
        f"{other} has {b} more {thing} than {name}. {name} has {a}. How many do the two have together?",
        f"{name} found {a} {thing}; {other} found {b} more. How many {thing} did they find altogether?",
        f"{other} owns {b} more {thing} than {name}, who owns {a}. How many {thing} are there altogether?",
    )
    return ask, so(f"{other} has {total(a, b)}.\nTogether {total(a, a + b)}", 2 * a + b)


def twice(dice: Dice) -> Problem:
    (name, other), thing = dice.people(), dice.thing()
    a, (word, factor) = dice.between(3, 40), dice.choice((("twice", 2), ("three times", 3)))
    second = a * factor
    ask = dice.ask(
        f"{name} has {a} {thing}. {other} has {word} as many. How many {thing} do they have together?",
        f"{name} picked {a} {thing} and {other} picked {word} as many as {name}. How many did they pick in total?",
        f"{other} has {word} as many {thing} as {name}, and {name} has {a}. How many are there altogether?",
        f"{other} bought {word} as many {thing} as {name}. {name} bought {a}. How many did both buy in all?",
        f"{other} has {word} as many {thing} as {name}. If {name} has {a}, what do both have in all?",
    )
    return ask, so(f"{other} has {product(factor, a)}.\nTogether {total(a, second)}", a + second)


def rows(dice: Dice) -> Problem:
    r, each, extra = dice.between(3, 12), dice.between(4, 20), dice.between(2, 20)
    thing = dice.choice(("chairs", "trees", "desks", "seats", "plants", "cars"))
    whole = r * each
    ask = dice.ask(
        f"There are {r} rows of {each} {thing} and {extra} more {thing}. How many {thing} are there in all?",
        f"A hall has {r} rows with {each} {thing} in each row, and {extra} extra {thing}. How many is that?",
        f"{extra} {thing} stand alone and the others in {r} rows of {each}. How many {thing} are there?",
        (
            f"A worker puts {each} {thing} into each of {r} rows and has {extra} {thing} left. "
            f"How many {thing} were there?"
        ),
        f"{r} rows have {each} {thing} each. With {extra} further {thing}, how many are there altogether?",
        f"Besides {extra} single {thing} there are {r} rows of {each}. How many {thing} is that altogether?",
    )
    return ask, so(f"{product(r, each)}.\n{total(whole, extra)}", whole + extra)


def reading(dice: Dice) -> Problem:
    name, each, days = dice.choice(NAMES), dice.between(5, 30), dice.between(3, 12)
    done = each * days
    pages = done + dice.between(5, 90)
    ask = dice.ask(
        f"A book has {pages} pages. {name} reads {each} pages a day for {days} days. How many pages are left?",
        f"{name} reads {each} pages every day. After {days} days, how many of the {pages} pages remain?",
        f"{name} reads {each} pages a day in a book of {pages} pages. How many pages are left after {days} days?",
        f"{name} has read {each} pages on each of {days} days. The book has {pages} pages. How many are still to read?",
        f"{name} has a book of {pages} pages and reads {each} a day. What is still unread after {days} days?",
    )
    return ask, so(f"{product(each, days)}.\n{difference(pages, done)}", pages - done)


def ages(dice: Dice) -> Problem:
    (name, other), a, b, years = dice.people(), dice.between(4, 40), dice.between(2, 20), dice.between(2, 15)
    ask = dice.ask(
        f"{name} is {a} years old and {other} is {b} years older. How old will {other} be in {years} years?",
        f"{other} is {b} years older than {name}, who is {a}. What will be the age of {other} in {years} years?",
        f"{name} is {a}. {other} is {b} years older than {name}. How old is {other} in {years} years?",
        f"How old will {other} be in {years} years if {name} is {a} and {other} is {b} years older?",
        f"In {years} years, how old will {other} be, if {other} is {b} years older than {name} and {name} is {a}?",
        f"In {years} years, how old is {other}, who is {b} years older than {a} year old {name}?",
    )
    return ask, so(f"{other} is {total(a, b)}.\nIn {years} years: {total(a + b, years)}", a + b + years)
