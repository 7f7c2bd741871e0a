"""How each kind of fact is said: many phrasings, orders and contexts, one to a line.

A clause states the fact and can stand alone or follow "that"; a sentence lets it happen in
passing; a question asks for it and is answered by the short form or by a clause; a card is a line
of a notebook and starts with the answer. {x} is what the fact is about and {y} the answer, {ax}
and {ay} are the same with a or an; {z} is a companion (the object of a verb, the thing that can
be hot or cold, the second town). {A} and {B} are the people of the document.
"""

from dataclasses import dataclass


def lines(text: str) -> tuple[str, ...]:
    """The lines of a block of text; " // " in a line stands for a new line."""
    return tuple(line.strip().replace(" // ", "\n") for line in text.strip().splitlines())


@dataclass(frozen=True)
class Phrasing:
    """All ways to state one kind of fact and to ask for it."""

    clauses: tuple[str, ...]
    sentences: tuple[str, ...]
    questions: tuple[str, ...]
    cards: tuple[str, ...]
    short: str = "{y}"


def phrasing(clauses: str, sentences: str, questions: str, cards: str, short: str = "{y}"):
    """A Phrasing from blocks of text, a phrasing to a line."""
    return Phrasing(lines(clauses), lines(sentences), lines(questions), lines(cards), short)


PHRASINGS = {
    "plural": phrasing(
        clauses="""
        the plural of {x} is {y}
        one {x} is alone, but two {y} are company
        we say one {x} and two {y}
        {y} is the plural of {x}
        one {x} and another {x} are two {y}
        if there is more than one {x}, we call them {y}
        the word {x} becomes {y} in the plural
        {y} are what you have when a second {x} joins the first
        """,
        sentences="""
        {A} drew one {x} first and then {n} more {y}.
        In the picture book there was {ax} on one page and a whole crowd of {y} on the next.
        {A} dreamed of {ax}, then of two {y}, and at last of a hundred {y}.
        {Y} were printed all over the wallpaper, and {A} coloured every {x} by hand.
        {A} cut out a paper {x}; by evening there were {n} paper {y} on the table.
        The museum had one famous {x}, and the shop beside it sold postcards of {n} other {y}.
        {A} had made one {x} out of clay, but {he} was asked for {n} {y}.
        Not one {x} was to be seen in the film, although the title had promised {y}.
        One {x} looks much like another, and yet {A} can tell all the {y} apart.
        On the map of the game each {x} counts one point, and {n} {y} win.
        {A} pointed at the {x} on the stamp and said that {his} uncle collects stamps with {y}.
        {A} wanted to see {ax} and saw {n} {y} in one afternoon.
        "Which {x} do you mean?" asked {A}, for there were {n} {y}.
        {A} knows a poem about {n} {y}; each {x} in it has a name.
        When {A} was small, every {x} was a wonder; now {he} has seen too many {y}.
        {A} can fold {ax} out of paper, and even {n} {y} in a row.
        The last {x} in the list was wrong, so {A} counted all the {y} again.
        Somebody had painted {n} {y} on the wall, each {x} larger than the one before.
        "Look, {ax}!" said {A}. "And behind it two more {y}!"
        """,
        questions="""
        What is the plural of {x}?
        One {x}, two what?
        How do you say more than one {x}?
        Give the plural of {x}.
        What do you call two of them, if one is {ax}?
        What does the word {x} become in the plural?
        """,
        cards="""
        {y}: more than one {x}
        {y} (one {x})
        {y}, the plural of {x}
        one {x}, two {y}
        """,
    ),
    "past": phrasing(
        clauses="""
        the past tense of {x} is {y}
        {y} is the past tense of {x}
        the verb {x} changes to {y} in the past
        one says "I {x}" of today and "I {y}" of yesterday
        {x} turns into {y} when it is over
        {y} is the form of {x} for the day before
        """,
        sentences="""
        Today I {x}, yesterday I {y}, and tomorrow is another day.
        People {x} {z} today as they {y} {z} a hundred years ago.
        {A} wanted to {x} {z}, so {he} {y} {z}.
        "I must {x} {z}," said {A}, and {he} {y} {z} at once.
        {A} {y} {z} last week and will {x} {z} again next week.
        Nobody had asked {A} to {x} {z}, but {A} {y} {z} all the same.
        On {day} {A} {y} {z}, which is odd, because {A} seldom {t} {z}.
        Most people {x} {z} without much thought; {A} {y} {z} with great care.
        {A} promised to {x} {z}. {A} kept the promise and {y} {z} the next day.
        {A} {y} {z} so well that everyone wanted to {x} {z} too.
        {A} does not {x} {z} every day, but yesterday {he} {y} {z} twice.
        Did {A} {x} {z}? Yes, {A} {y} {z} in {month}.
        {A} {t} {z} whenever there is time, and on {day} {he} {y} {z} before breakfast.
        """,
        questions="""
        What is the past tense of {x}?
        Today I {x}. And yesterday?
        Give the past tense of {x}.
        Which form has {x} in the past?
        Put the verb {x} into the past tense.
        What does {x} turn into when it happened yesterday?
        """,
        cards="""
        {y}: {x} in the past tense
        {y} (today we {x})
        {y}, the past tense of {x}
        today we {x}, yesterday we {y}
        """,
    ),
    "participle": phrasing(
        clauses="""
        the participle of {x} is {y}
        somebody who has to {x} may have {y} before
        {y} is the participle of {x}
        after the word have, the verb {x} takes the form {y}
        one says "I {x}" but "I have {y}"
        """,
        sentences="""
        {A} likes to {x} {z} and has {y} {z} many times.
        "I have never {y} {z}," said {A}. "May I {x} {z} now?"
        {A} has {y} {z} already, so nobody else has to {x} {z}.
        It is a pleasure to {x} {z}, as everyone agrees who has ever {y} {z}.
        Have you ever {y} {z}? {A} had to {x} {z} on {day}.
        {A} would like to {x} {z} once more, for {he} has not {y} {z} since {month}.
        Who has {y} {z}? It was not {A}, who would never {x} {z}.
        {A} will {x} {z} tomorrow, as {he} has {y} {z} on every {day} this year.
        """,
        questions="""
        What is the participle of {x}?
        Today I {x}. What have I done before?
        Give the participle of {x}.
        Which form of {x} comes after have?
        """,
        cards="""
        {y}: the participle of {x}
        {y} (to {x}, to have {y})
        {y}, as in: I have {y}; it comes from {x}
        """,
    ),
    "opposite": phrasing(
        clauses="""
        the opposite of {x} is {y}
        {x} and {y} are opposites
        {y} is the opposite of {x}
        nothing can be {x} and {y} at the same time
        what is not {x} at all may well be {y}
        {x} is the contrary of {y}
        if one {z} is {x}, the other one may be {y}
        """,
        sentences="""
        {A} had hoped that the {z} would be {x}, but it was {y}.
        One {z} was {x} and the other one was {y}.
        The {z} was not {x}; on the contrary, it was {y}.
        "Is the {z} {x}?" asked {A}. No, it was {y}.
        {Y} or {x}, {az} is {az}, said {A}.
        {A} could not say whether the {z} was {x} or {y}.
        At first {A} thought the {z} was {x}, and then it turned out to be {y}.
        Some people want it {x} and others want it {y}: nobody agreed about the {z}.
        In the morning {A} called the {z} {x}, and in the evening {he} called it {y}.
        {A} said {x} and meant {y}, for {he} was speaking of the {z} in jest.
        """,
        questions="""
        What is the opposite of {x}?
        What do you call something that is not {x} at all?
        Give the opposite of {x}.
        Which word is the contrary of {x}?
        If the {z} is not {x}, what is it?
        Name the opposite of {x}.
        """,
        cards="""
        {y}: the opposite of {x}
        {y}, not {x}
        {y} (its opposite is {x})
        {x} or {y}
        """,
    ),
    "opposite_word": phrasing(
        clauses="""
        the opposite of {x} is {y}
        {x} and {y} are opposites
        {y} is the opposite of {x}
        {x} is the contrary of {y}
        the word {x} means the reverse of {y}
        who says {x} does not mean {y}
        {y} stands against {x}, as black stands against white
        """,
        sentences="""
        "{X}?" asked {A}. No, quite the opposite: {y}.
        {A} had written {x} where {he} meant {y}, so everything was the wrong way round.
        In the game {A} called out "{x}", and the answer had to be "{y}".
        On one side of the card stood the word {x}, and on the other side its opposite, {y}.
        {A} confuses {x} with {y}, although one is the contrary of the other.
        {Y} was the answer that {A} wanted, and {x} would have been the very opposite.
        A sign with the word {x} hung on the left, one with the word {y} on the right.
        """,
        questions="""
        What is the opposite of {x}?
        Give the opposite of {x}.
        Which word is the contrary of {x}?
        Name the opposite of {x}.
        """,
        cards="""
        {y}: the opposite of {x}
        {y}, not {x}
        {y} (its opposite is {x})
        {x} or {y}
        """,
    ),
    "category": phrasing(
        clauses="""
        {ax} is {ay}
        one word for {ay} is {x}
        the word {x} is the name of {ay}
        whoever sees {ax} sees {ay}
        {ax} counts as {ay}
        everyone who knows what {ay} is can name {ax}
        """,
        sentences="""
        "What is {ax}?" asked the child. "{Ay}," said the teacher.
        The dictionary has only a line on the word {x}: {ay}, it says.
        Somebody wanted to draw {ay} and drew {ax}.
        {A} had to name {ay}, and the first that came to mind was {ax}.
        "I am thinking of {ay}," said {A}. It was {ax}.
        {Ay} was wanted, and {A} wrote down: {x}.
        "What sort of thing is {ax}?" asked the child. "It is {ay}," said {A}.
        In the quiz {A} put the {x} in the list headed "{y}".
        {A} was not sure what {ax} was, and the dictionary said: {ay}.
        In the book of words the {x} stood under the heading "{y}".
        Of all the words for {ay}, {A} likes the word {x} best.
        {A} filled in the crossword: {ay}, and the answer was {x}.
        """,
        questions="""
        What is {ax}?
        What kind of thing is {ax}?
        To which category does the word {x} belong?
        Name the category of the word {x}.
        What do we call things such as {ax}?
        """,
        cards="""
        {y}: {ax}, for example
        {y} (the {x} is one)
        {x}: {ay}
        {y}, the category of the word {x}
        """,
        short="{ay}",
    ),
    "thing_colour": phrasing(
        clauses="""
        the colour of {x} is {y}
        {x} is {y}
        {y} is the colour of {x}
        everything that looks like {x} is {y}
        the word {y} fits the colour of {x}
        if you want to paint {x}, you need {y} paint
        """,
        sentences="""
        {A} wore a coat as {y} as {x}.
        {A} mixed the paint until it was {y}, just like {x}.
        {Y} as {x} was the sky that evening, said {A}.
        The door was {y}, the colour of {x}, and {A} liked it.
        "I want it {y}," said {A}, "the colour that {x} has."
        {A} chose the pencil for drawing {x}: {ay} one, of course.
        In the poem the moon was {y} like {x}.
        The cloth reminded {A} of {x}, because it was so {y}.
        """,
        questions="""
        What colour is {x}?
        Which colour does {x} have?
        Name the colour of {x}.
        What is the colour of {x}?
        """,
        cards="""
        {y}: the colour of {x}
        {y} like {x}
        {x}: {y}
        """,
    ),
    "animal_colour": phrasing(
        clauses="""
        the {x} is {y}
        {ax} is {y}
        the colour of the {x} is {y}
        {y} is the colour of the {x}
        most people imagine {ax} to be {y}, and they are right
        the {x} wears {ay} coat
        """,
        sentences="""
        Something {y} moved between the trees: it was {ax}.
        In the picture there is {ax}, and the painter has made it {y}.
        {A} painted {ax} and needed only the {y} paint.
        {A} saw something {y} move between the trees: it was {ax}.
        {Y} as {ax} was the hat that {A} wore.
        "How do you know it was {ax}?" they asked. "It was {y}," said {A}.
        {A} knitted {ax} out of {y} wool for a child.
        The sign showed {ax} in {y}, as it should be.
        For the {x} in the school play {A} sewed {ay} costume.
        """,
        questions="""
        What colour is the {x}?
        Which colour does {ax} have?
        Name the colour of the {x}.
        What colour is {ax}?
        """,
        cards="""
        {y}: the colour of the {x}
        {y} (the {x})
        the {x}: {y}
        """,
    ),
    "sound": phrasing(
        clauses="""
        {ax} can {y}
        the sound of the {x} is easy to tell: it {ty}
        the {x} {ty}
        when {ax} opens its mouth, it {ty}
        no other animal can {y} quite like the {x}
        to {y} is the way of the {x}
        {y} is the word for the sound that {ax} makes
        """,
        sentences="""
        Somewhere in the dark {ax} began to {y}.
        All night long the {x} would {y}, and nobody could sleep.
        {A} heard something {y} in the dark, and it was {ax}.
        {A} can {y} like {ax}, and people turn their heads.
        "Listen how it {ty}!" said {A}. "That must be {ax}."
        In the school play {A} was {ax} and only had to {y}.
        Somewhere {ax} began to {y}, and {A} stopped to listen.
        The {x} in the picture seemed to {y}, so well had {A} drawn it.
        {A} could not sleep, because all night long {ax} would {y}.
        """,
        questions="""
        What sound does {ax} make?
        How does {ax} sound?
        What does {ax} do when it opens its mouth?
        Name the sound of the {x}.
        Which word do we use for the sound of {ax}?
        """,
        cards="""
        {y}: the sound of the {x}
        {y} (what {ax} does)
        the {x}: it {ty}
        """,
        short="it {ty}",
    ),
    "home": phrasing(
        clauses="""
        the home of the {x} is the {y}
        {ax} lives in the {y}
        the {y} is the home of {ax}
        you will find {ax} in the {y}
        if you look for {ax}, look in the {y}
        {ax} feels at home in the {y}
        the {y} is the place where {ax} sleeps
        """,
        sentences="""
        {A} went to look for the {x} and found it in the {y}.
        Out of the {y} came {ax} and looked at {A}.
        The {y} was empty, for the {x} had gone out.
        {A} drew the {y} first and then the {x} that lives in it.
        "Where would I sleep if I were {ax}?" asked {A}. "In the {y}!"
        When evening came the {x} went home to the {y}.
        {A} took a photograph of the {y}, and there was {ax} in it.
        """,
        questions="""
        Where does {ax} live?
        What is the home of {ax}?
        Where would you look for {ax}?
        Name the home of the {x}.
        """,
        cards="""
        {y}: the home of the {x}
        {y} (the {x} lives there)
        the {x}: at home in the {y}
        """,
        short="the {y}",
    ),
    "young": phrasing(
        clauses="""
        a young {x} is called {ay}
        the young of the {x} is {ay}
        {ay} is a young {x}
        {ay} grows up to be {ax}
        {ax} was once {ay}
        the mother is {ax} and the little one is {ay}
        a baby {x} is named {ay}
        """,
        sentences="""
        {A} saw {ax} and, close behind it, {ay}.
        {Ay} ran after the {x}, and {A} smiled at mother and child.
        "What a small {x}!" said the child. "That is {ay}," said {A}.
        Every {x} begins as {ay}, said {A}, and every judge begins as a baby.
        The {x} had been alone all winter; in spring {A} found {ay} beside it.
        {A} drew {ax} and gave it {ay} for company.
        """,
        questions="""
        What is a young {x} called?
        What do you call the young of the {x}?
        Name the young of the {x}.
        What do we call a baby {x}?
        """,
        cards="""
        {y}: a young {x}
        {y} (later {ax})
        {y}, the young of the {x}
        """,
        short="{ay}",
    ),
    "region": phrasing(
        clauses="""
        {x} lies in {y}
        {x} is a town in {y}
        {y} is the region of {x}
        whoever wants to see {x} has to travel to {y}
        in {y} there is a town called {x}
        the town of {x} belongs to {y}
        {y} is proud of the town of {x}
        """,
        sentences="""
        It was snowing in {y}, from the hills down to {x}.
        The parcel was sent from {x}, and the stamp said {y}.
        {A} once took the train to {y} and got out in {x}.
        {A} had an aunt in {x}, which is in {y}.
        On the map of {y} {A} put a pin where {x} is.
        "Is {x} far?" asked {A}. It is in {y}, as far as that is.
        The parcel for {A} came from {x} in {y}.
        {A} read that it was snowing in {y}, from the hills down to {x}.
        Of all the towns in {y}, {A} knows only {x}.
        """,
        questions="""
        In which region is {x}?
        Where is {x}?
        Name the region of {x}.
        In which region does the town of {x} lie?
        Which region does {x} belong to?
        """,
        cards="""
        {y}: the region of {x}
        {y} (with the town of {x})
        {x}: a town in {y}
        """,
    ),
    "river": phrasing(
        clauses="""
        the river that flows through {x} is the {y}
        {x} stands on the river {y}
        the river {y} flows through {x}
        the river of {x} is the {y}
        {y} is the name of the river in {x}
        the bridges of {x} cross the {y}
        the {y} is the river on which {x} was built
        """,
        sentences="""
        {A} took a boat down the {y} as far as {x}.
        In {x} {A} stood on the bridge and threw a stick into the {y}.
        The {y} was high that spring, and in {x} the cellars were wet.
        {A} had a photograph of {x}, with the {y} in front and the church behind.
        "If you follow the {y}," said {A}, "you come to {x}."
        On the map {A} put a finger on the {y} and followed it to {x}.
        {A} has a painting of the {y} at {x}.
        """,
        questions="""
        Which river flows through {x}?
        On which river does {x} stand?
        Name the river of {x}.
        What is the river of {x} called?
        Which river do the bridges of {x} cross?
        """,
        cards="""
        {y}: the river of {x}
        {y} (it flows through {x})
        {x}: on the river {y}
        """,
        short="the {y}",
    ),
    "continent": phrasing(
        clauses="""
        {x} is a country in {y}
        the continent of {x} is {y}
        {x} lies in {y}
        {y} is the continent in which {x} lies
        if you stand in {x}, you stand in {y}
        the map of {y} shows {x}
        """,
        sentences="""
        {A} wants to travel through {y}, and {x} is the first country on the list.
        {A} met somebody from {x} and asked what the weather in {y} was like.
        In the atlas {A} found {x} on the page of {y}.
        "Is {x} in {y}?" asked {A}. It is.
        {A} has a stamp from {x} and keeps it on the page for {y}.
        """,
        questions="""
        In which continent is {x}?
        On which continent does {x} lie?
        Name the continent of {x}.
        Which continent does {x} belong to?
        """,
        cards="""
        {y}: {x} lies there
        {x}, a country in {y}
        {x}: {y}
        """,
    ),
    "language": phrasing(
        clauses="""
        the people of {x} speak {y}
        the language of {x} is {y}
        in {x} they speak {y}
        {y} is what you hear in the streets of {x}
        whoever goes to {x} should learn {y}
        a newspaper from {x} is written in {y}
        """,
        sentences="""
        {A} is learning {y}, because {his} cousin lives in {x}.
        The letter from {x} was in {y}, and {A} could not read it.
        {A} bought a book of {y} words before the journey to {x}.
        "How do you say that in {y}?" {A} asked the guest from {x}.
        At the school in {x} {A} heard nothing but {y}.
        """,
        questions="""
        Which language do people speak in {x}?
        What is the language of {x}?
        What do they speak in {x}?
        Name the language of {x}.
        """,
        cards="""
        {y}: spoken in {x}
        {x}: they speak {y}
        {y}, the language of {x}
        """,
    ),
    "maker": phrasing(
        clauses="""
        the one who {v} {x} was {y}
        {x} was {w} by {y}
        {y} {v} {x}
        it was {y} who {v} {x}
        {y} is the one who {v} {x}
        the name of {y} is known because of {x}
        """,
        sentences="""
        {A} was told at school that {y} {v} {x}.
        "Who {v} {x}?" asked {A}. "{Y}," said the teacher.
        {A} read a short life of {y}, who {v} {x}.
        On the wall hung a portrait of {y}, and below it stood: {v} {x}.
        {A} won a quiz with the answer that {x} was {w} by {y}.
        """,
        questions="""
        Who {v} {x}?
        By whom was {x} {w}?
        Tell me who {v} {x}.
        Which name belongs to {x}?
        """,
        cards="""
        {y}: {v} {x}
        {x}: {w} by {y}
        {y} ({x})
        """,
    ),
    "workplace": phrasing(
        clauses="""
        {ax} works in {ay}
        the place where {ax} works is the {y}
        the {y} is where you find {ax}
        {ay} needs {ax}
        every morning the {x} goes to the {y}
        """,
        sentences="""
        {A} wants to be {ax} and work in {ay}.
        {A} went to the {y} and asked for the {x}.
        The {x} came out of the {y} and greeted {A}.
        {A} has an uncle who is {ax}; he is in the {y} from morning to night.
        In the {y} {A} met {ax} who had worked there for {n} years.
        """,
        questions="""
        Where does {ax} work?
        In which place does {ax} work?
        Where do you find {ax} at work?
        What is the workplace of {ax}?
        """,
        cards="""
        {y}: {ax} works there
        {x}: works in {ay}
        {y}, the place of the {x}
        """,
    ),
    "material": phrasing(
        clauses="""
        people make {x} from {y}
        the book of crafts says how people make {x} from {y}
        without {y} nobody can make {x}
        to make {x}, you need {y}
        {y} can be made into {x}
        """,
        sentences="""
        {A} bought {y}, because {he} wanted to make {x}.
        {A} visited a workshop where {y} became {x}.
        "What are you making from the {y}?" asked {A}. It was {x}.
        {A} had no {y} left and could not make {x}.
        For {n} years {A} has made {x}, and always from the best {y}.
        """,
        questions="""
        What do people make {x} from?
        What do you need to make {x}?
        From what do people make {x}?
        Name what people make {x} from.
        """,
        cards="""
        {y}: for making {x}
        {x}: made from {y}
        {y}, out of which people make {x}
        """,
    ),
    "count": phrasing(
        clauses="""
        {x} has {y} {z}
        the number of {z} that {x} has is {y}
        {y} is the number of {z} of {x}
        if you count the {z} of {x}, you come to {y}
        there are {y} {z} to {x}
        """,
        sentences="""
        {A} counted the {z} of {x} and came to {y}.
        "{X} has {y} {z}," said {A}, and nobody could say that it was not so.
        {A} drew {x}, but with the wrong number of {z}; there should be {y}.
        {A} learned in the first year at school that {x} has {y} {z}.
        """,
        questions="""
        How many {z} does {x} have?
        What is the number of {z} that {x} has?
        How many {z} are there to {x}?
        Count the {z} of {x}.
        """,
        cards="""
        {y}: the {z} of {x}
        {x}: {y} {z}
        {y} {z} ({x})
        """,
    ),
    "founder": phrasing(
        clauses="""
        {x} was founded by {y}
        {y} founded {x}
        the founder of {x} was {y}
        {y} laid the first stone of {x}
        the town of {x} owes its beginning to {y}
        it was {y} who built the first house in {x}
        """,
        sentences="""
        In the square of {x} stands a statue of {y}, who founded the town.
        Every year {x} remembers its founder, {y}, with music.
        {A} read a book about {y} and how the town of {x} was founded.
        Where {x} is now there was only grass, until {y} came and founded a town.
        {A} saw a portrait of {y} in the town hall of {x}: the founder looked stern.
        {Y} had one dream, and that dream became the town of {x}.
        The school in {x} is named after {y}, the founder of the town.
        """,
        questions="""
        Who founded {x}?
        Who was the founder of {x}?
        Name the founder of {x}.
        By whom was {x} founded?
        """,
        cards="""
        {y}: the founder of {x}
        {y}, who founded {x}
        {x}: founded by {y}
        """,
    ),
    "speciality": phrasing(
        clauses="""
        {x} is known for its {y}
        the best {y} come from {x}
        {x} is famous for its {y}
        people travel to {x} to buy {y}
        the speciality of {x}, say its people, has always been {y}
        {y} made the town of {x} rich
        """,
        sentences="""
        {A} asked a friend to bring some {y} from {x}.
        {A} went to {x} and came home with a bag full of {y}.
        On the market in {x} {A} bought {y}, as everyone does there.
        "You have been in {x}," said {A}. "I can see it by the {y}."
        {Y} stood in every window in {x}, and {A} could not pass by.
        The cart from {x} was loaded with {y}.
        {A} thinks of {y} whenever somebody speaks of {x}.
        """,
        questions="""
        What is {x} known for?
        What is {x} famous for?
        Name the speciality of {x}.
        What do people buy in {x}?
        """,
        cards="""
        {y}: the speciality of {x}
        {y} (from {x})
        {x}: known for its {y}
        """,
    ),
    "distance": phrasing(
        clauses="""
        it is {y} miles from {x} to {z}
        {x} lies {y} miles from {z}
        {z} is {y} miles away from {x}
        the road between {x} and {z} is {y} miles long
        between {x} and {z} there are {y} miles of road
        {y} miles is the distance from {x} to {z}
        """,
        sentences="""
        {A} walked the {y} miles from {x} to {z} in one day.
        The bus from {x} to {z} has {y} miles to go, and {A} slept all the way.
        A signpost in {x} said: {z}, {y} miles.
        {A} counted {y} milestones on the road from {x} to {z}.
        "{y} miles!" said {A} in {x}. "We shall not be in {z} before dark."
        {A} left {x} at noon, cycled {y} miles and was in {z} for tea.
        """,
        questions="""
        How far is it from {x} to {z}?
        How many miles is it from {x} to {z}?
        What is the distance between {x} and {z}?
        Give the distance from {x} to {z}.
        """,
        cards="""
        {y} miles: from {x} to {z}
        {y} miles between {x} and {z}
        {x} to {z}: {y} miles
        """,
        short="{y} miles",
    ),
    "capital": phrasing(
        clauses="""
        the capital of {x} is {y}
        {y} is the capital of {x}
        {x} has its government in {y}
        {y} is to {x} what the heart is to the body
        the largest words on the map of {x} are the name of its capital, {y}
        who governs {x} has an office in {y}
        """,
        sentences="""
        {A} spent a week in {y}, the capital of {x}.
        {A} learned three words for a journey to {x} and tried them all in {y}.
        The train to {y} was full of people who lived in {x}.
        A postcard came from {y}, with a stamp from {x}.
        {A} has a cousin in {x}, who works in the capital, {y}.
        "If you go to {x}," said {A}, "you must see {y}."
        {Y} was the last stop on the tour through {x}.
        """,
        questions="""
        What is the capital of {x}?
        Which city is the capital of {x}?
        Name the capital of {x}.
        Where is the government of {x}?
        """,
        cards="""
        {y}: the capital of {x}
        {y} ({x})
        {x}: capital {y}
        """,
    ),
    "sum": phrasing(
        clauses="""
        {x} plus {z} is {y}
        {x} and {z} make {y}
        {x} and {z} are {y}
        {x} + {z} = {y}
        the sum of {x} and {z} is {y}
        if you add {x} and {z}, you get {y}
        {y} is what {x} and {z} make together
        """,
        sentences="""
        {A} had {xthings} and found {z} more, so {he} had {y}.
        {A} picked {xthings} in the morning and {z} in the evening, {y} in all.
        There were {xthings} in the box and {z} in the bag, which made {y} together.
        {A} counted {x} on the left and {z} on the right: {y} {things}.
        First came {x}, then {z} more, and {A} had {y} {things} to carry.
        {A} bought {xthings}, and a friend gave {him} {z}, so now there were {y}.
        {A} owed one neighbour {xthings} and another neighbour {z}; that was {y} altogether.
        With {xthings} on the table and {z} on the shelf, {A} had {y} {things}.
        """,
        questions="""
        What is {x} plus {z}?
        How much is {x} and {z}?
        What do {x} and {z} make?
        Add {x} and {z}.
        What is the sum of {x} and {z}?
        Somebody has {xthings} and gets {z} more. How many are there now?
        """,
        cards="""
        {x} + {z} = {y}
        {x} plus {z}: {y}
        {y}: {x} and {z}
        """,
    ),
    "difference": phrasing(
        clauses="""
        {x} minus {z} is {y}
        {x} less {z} is {y}
        {x} take away {z} is {y}
        {x} - {z} = {y}
        if you take {z} from {x}, you get {y}
        the difference between {x} and {z} is {y}
        """,
        sentences="""
        {A} had {xthings} and gave away {z}, so {he} had {y} left.
        Of {xthings} {A} sold {z}, which left {y}.
        There were {xthings} in the box; {A} took out {z}, and {y} stayed inside.
        {A} baked {x} and ate {z}, leaving {y} for the guests.
        {A} started with {xthings} and lost {z} on the way, so only {y} came home.
        {X} went in, {z} came out, and {A} knew that {y} had to be inside.
        From {xthings} {A} took {z} away and counted {y}.
        """,
        questions="""
        What is {x} minus {z}?
        How much is {x} less {z}?
        Take {z} from {x}.
        What is the difference between {x} and {z}?
        Somebody has {xthings} and gives away {z}. How many are left?
        """,
        cards="""
        {x} - {z} = {y}
        {x} minus {z}: {y}
        {y}: {x} take away {z}
        """,
    ),
    "trade": phrasing(
        clauses="""
        {x} is {ay}
        {x} works as {ay}
        {x} is {ay} by trade
        the trade of {x} is that of {ay}
        {x} earns {his} bread as {ay}
        people who need {ay} go to {x}
        """,
        sentences="""
        {X} became {ay} at sixteen and never wanted to be anything else.
        The {y} {x} was at work early.
        A sign on the door said: {x}, {y}.
        As {ay}, {x} knew what to do with {his} hands.
        {X} has been {ay} for many years.
        For {ay} like {x} there is always work.
        "Are you the {y}?" they asked, and {x} nodded.
        """,
        questions="""
        What is the trade of {x}?
        What does {x} do for a living?
        What is {x} by trade?
        What work does {x} do?
        Name the trade of {x}.
        """,
        cards="""
        {y}: the trade of {x}
        {y} ({x})
        {x}: {ay}
        """,
        short="{ay}",
    ),
    "village": phrasing(
        clauses="""
        {x} lives in {y}
        the home of {x} is in {y}
        {y} is the village of {x}
        {x} comes from {y}
        you will find {x} in {y}
        letters for {x} go to {y}
        """,
        sentences="""
        {X} has never wanted to leave {y}.
        In {y} everyone knows {x}.
        {X} went home to {y} every evening.
        The house of {x} is the last one in {y}.
        {X} walked through {y} and greeted everyone.
        {Y} would not be the same without {x}.
        """,
        questions="""
        Where does {x} live?
        In which village does {x} live?
        Where does {x} come from?
        Name the village of {x}.
        """,
        cards="""
        {y}: the village of {x}
        {y} ({x} lives there)
        {x}: of {y}
        """,
    ),
    "pet": phrasing(
        clauses="""
        {x} keeps {ay}
        {x} has {ay}
        the animal that {x} keeps is {ay}
        {ay} lives with {x}
        {x} shares the house with {ay}
        {x} and {ay} are old friends
        """,
        sentences="""
        {X} fed the {y} before anything else.
        The {y} of {x} was waiting at the door.
        {X} talked to the {y}, as on every morning.
        The {y} looked at {x}, and {x} looked at the {y}.
        {Ay} followed {x} through the village, and nobody was surprised.
        {X} would not sell the {y} for any money.
        """,
        questions="""
        Which animal does {x} keep?
        What animal has {x} got?
        Name the animal of {x}.
        What kind of animal lives with {x}?
        """,
        cards="""
        {y}: the animal of {x}
        {y} (it lives with {x})
        {x}: keeps {ay}
        """,
        short="{ay}",
    ),
    "habit": phrasing(
        clauses="""
        {x} {y}
        {x} always {y}
        people know {x} by this: {he} {y}
        {x} has a habit: {he} {y}
        it is said of {x} that {he} {y}
        there is nobody else who {y} as {x} does
        """,
        sentences="""
        {X} {y}, and the neighbours have got used to it.
        {X} {y}, even on {day}.
        Why {x} {y} is a thing that nobody knows.
        "{X} {y}," people say, and they are right.
        {X} {y}, as everyone in the village can tell you.
        """,
        questions="""
        What is the habit of {x}?
        What does {x} always do?
        What is {x} known for in the village?
        """,
        cards="""
        {x}: {y}
        {x} {y}
        """,
        short="{he} {y}",
    ),
    "favourite": phrasing(
        clauses="""
        {x} likes {y} best
        the favourite thing of {x} is {y}
        for {y} {x} would leave any table
        nothing makes {x} as happy as {y}
        {x} would walk a mile for {y}
        {x} never says no to {y}
        """,
        sentences="""
        {X} had {y} for supper and was content.
        {X} saw {y} on the table and smiled.
        {X} bought {y} with the last of the money.
        {Y}! That was all that {x} wanted for {his} birthday.
        After work {x} sat down to {y}.
        {X} put some {y} aside for Sunday.
        """,
        questions="""
        What does {x} like best?
        What is the favourite thing of {x}?
        What makes {x} happy?
        Name what {x} likes best.
        """,
        cards="""
        {y}: what {x} likes best
        {y} (for {x})
        {x}: {y}, please
        """,
    ),
    "spelling": phrasing(
        clauses="""
        the right spelling is {y} and not {x}
        one writes {y}, never {x}
        {y} is spelt like this and not like this: {x}
        whoever writes {x} means {y}
        {x} is a mistake for {y}
        {y} is right and {x} is wrong
        """,
        sentences="""
        {A} wrote "{x}", but it should be "{y}".
        In my last letter I wrote "{x}"; it should be "{y}", as {A} told me.
        {A} crossed out "{x}" and wrote "{y}" above it.
        There was a mistake on the sign: "{x}" instead of "{y}".
        "{X}" looked odd to {A}, so {he} looked it up and found "{y}".
        Somebody had typed "{x}", and {A} corrected it to "{y}".
        For the tenth time {A} wrote "{y}" on the board, so that nobody would write "{x}" again.
        """,
        questions="""
        How do you spell {x} correctly?
        Correct the spelling: {x}
        What is the right spelling of {x}?
        Which word is meant by {x}?
        """,
        cards="""
        {y}, not {x}
        {y} (wrong: {x})
        {x}: write {y}
        """,
    ),
    "next": phrasing(
        clauses="""
        after {x} comes {y}
        {y} comes after {x}
        {y} follows {x}
        before {y} comes {x}
        {x} is followed by {y}
        when {x} is over, {y} begins
        """,
        sentences="""
        {A} worked all through {x} and rested in the first hours of {y}.
        It was {x}, so {A} knew what was next: {y}.
        {A} tore the page off the calendar: {x} was gone and {y} had come.
        {A} would have stayed for the whole of {x}, had {y} not come so soon.
        "Not in {x}," said {A}, "but soon after, in the first hours of {y}."
        """,
        questions="""
        What comes after {x}?
        Which name follows {x}?
        What comes next: {x}, and then?
        Name what follows {x}.
        """,
        cards="""
        {y}: comes after {x}
        {y} (before it: {x})
        {x}, then {y}
        """,
    ),
}

# How a clause {c} (or with a capital, {C}) becomes a sentence. The plain one is the most frequent.
FRAMES = lines("""
    {C}.
    {C}.
    {C}.
    {C}.
    As everybody knows, {c}.
    It is true that {c}.
    {A} remembered that {c}.
    {A} says that {c}.
    "{C}," said {A}.
    Even a child knows that {c}.
    {A} had learned at school that {c}.
    One thing is certain: {c}.
    In the almanac {A} read that {c}.
    {A} wrote down in a small notebook that {c}.
    On a scrap of paper stood the words: {c}.
    {C}, or so {A} was told.
    Do not forget that {c}.
    {A} would have bet a coin that {c}.
    {A} nodded, for {c}.
    {A} told {B} that {c}.
    {B} did not believe that {c}, but {A} was sure.
    "Did you know that {c}?" asked {B}, and {A} did.
    {A} and {B} agreed on one thing: {c}.
    "{C}," said {B}, and {A} wrote it down.
    """)

# The same as short items of a recital {r}, several facts of a kind in one sentence.
# Kinds whose fact can be asked for from its answer, with the question; the answer is {x}.
BACKWARDS = {
    "plural": ("What is the singular of {y}?", "What is one of the {y} called?"),
    "past": ("Which verb has the past tense {y}?", "To which verb does the form {y} belong?"),
    "capital": ("Of which country is {y} the capital?", "Which country is governed from {y}?"),
    "young": ("Which animal does {ay} become?", "What will {ay} be when it is grown?"),
    "continent": ("Name a country in {y}.", "Which country do you know in {y}?"),
    "river": ("Name a city on the {y}.", "Through which city does the {y} flow?"),
    "workplace": ("Who works in {ay}?", "Whom do you find at work in {ay}?"),
    "material": ("What do people make from {y}?", "Name something that is made from {y}."),
    "sound": ("Which animal can {y}?", "Name an animal that can {y}."),
    "home": ("Which animal lives in the {y}?", "Whose home is the {y}?"),
}

# Questions whose matter stands on a line of its own.
WITH_INPUT = {
    "plural": ("Put this into the plural. | {x}", "Plural, please. | {x}"),
    "past": ("Write the past tense. | {x}", "How is this in the past? | {x}"),
    "opposite": ("Name the opposite. | {x}", "What is the contrary of this? | {x}"),
    "opposite_word": ("Name the opposite. | {x}", "What is the contrary of this? | {x}"),
    "category": ("What kind of thing is this? | {x}", "Sort this word. | {x}"),
    "spelling": ("Is this right? Correct it. | {x}", "Correct this word. | {x}"),
    "sum": ("Add these. | {x}, {z}", "What do they make together? | {x} and {z}"),
    "difference": ("Take the second from the first. | {x}, {z}",),
    "capital": ("Name its capital. | {x}", "The capital of this country? | {x}"),
    "river": ("Which river is there? | {x}", "Name the river in this city. | {x}"),
    "continent": ("Name its continent. | {x}", "In which continent is this? | {x}"),
    "language": ("Which language is spoken there? | {x}",),
    "maker": ("Whose work is this? | {x}", "Who did it? | {x}"),
    "workplace": ("Name the place of work. | {x}",),
    "material": ("What do people make it from? | {x}",),
    "animal_colour": ("What colour is it? | {x}",),
    "sound": ("Which sound is its own? | {x}",),
    "home": ("Where is its home? | {x}",),
    "young": ("What is its young called? | {x}",),
    "next": ("What comes after it? | {x}",),
}

RECITALS = {
    "plural": "one {x}, two {y}",
    "past": "today {x}, yesterday {y}",
    "participle": "to {x}, to have {y}",
    "opposite": "{x} and {y}",
    "opposite_word": "{x} and {y}",
    "category": "the {x} is {ay}",
    "capital": "{y} is in {x}",
    "spelling": "{y}, not {x}",
    "sum": "{x} and {z} are {y}",
    "difference": "{x} less {z} is {y}",
    "sound": "the {x} can {y}",
    "young": "{ay} becomes {ax}",
    "thing_colour": "{x} is {y}",
}
RECITAL_FRAMES = lines("""
    Learn this by heart: {r}.
    {R}: so they sing it in the yard.
    The rhyme goes like this: {r}.
    An old song begins so: {r}.
    {R}, and so on without an end.
    {A} recited: {r}.
    {A} murmured something that sounded like a rhyme: {r}.
    In the school of {V} the children chanted: {r}, and {A} listened.
    "{R}," said {A} in one breath.
    {R}: {A} knew it all by heart.
    {A} began a rhyme, and {B} went on: {r}.
    "{R}," sang {B}, and {A} beat time.
    """)
