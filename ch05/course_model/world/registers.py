"""What is not a story: how-tos, messages, news, talk, letters and diaries, entries and readings.

Blocks are read as in ch05.course_model.world.plots; {N} stands for a number in digits, {hour} for
an hour of the day, {price} for a sum of money, {job} for something to do ("wash the car") and
{did} for the same done.
"""

from ch05.course_model.world.phrasings import lines

# A title, then the steps in their order.
HOW_TOS = """
make tea
Boil the water in a kettle.
/ Fill the kettle and wait until it sings.
Warm the pot with a little hot water and empty it again.
/ Meanwhile warm the pot.
Put in one spoon of tea for each person and one for the pot.
/ Count the guests, and take a spoon of tea for each.
Pour the water over it and wait {n} minutes.
/ Now pour in the water and be patient for {n} minutes.
Drink it while it is hot.
/ Serve it with milk, as {A} does.

plant a tree
Dig a hole that is twice as wide as the roots.
/ Choose a place with sun and dig a deep hole.
Put the young tree in, straight, and ask somebody to hold it.
/ Set the tree in the middle while a friend holds it upright.
Fill the hole with earth and press it down with your boot.
/ Shovel the earth back and tread on it gently.
Water it well, even if it rains.
/ Give it two buckets of water.
Then wait for {n} years.
/ The rest is done by time.

sew on a button
Thread a needle and tie a knot at the end.
/ Take a needle and a thread of the right colour.
Lay the button on its place and come up through one hole.
/ Push the needle through from behind.
Go down through the next hole and do this {n} times.
/ Go up and down until the button holds.
Wind the thread round below the button.
/ Turn the thread three times round the stem.
Cut off the rest, and do not lose the needle.
/ Make a knot and bite off the thread, or use scissors.

mend a puncture
Turn the bicycle over and take off the wheel.
/ First take out the wheel.
Pull out the tube and hold it under water.
/ Blow up the tube a little and put it in a bucket.
Where bubbles rise, there is the hole.
/ Look for the bubbles and mark the place.
Dry it, roughen it and put on the glue.
/ Rub the place dry and spread some glue on it.
Press the patch on and count to {N}.
/ Put the patch on and wait.

write a letter
Take a clean sheet and write the date at the top.
/ Find a pen that works and a quiet hour.
Begin with the name of the person, as if you were calling across the street.
/ Say whom the letter is for: Dear {A}, for example.
Tell one thing after the other, and only what is true.
/ Write as you would speak.
Read it once more and correct the mistakes.
/ Wait a day before you read it again.
Put on a stamp and take it to the box.
/ Fold it, seal it and do not forget the stamp.

cook an egg
Bring some water to the boil in a small pot.
/ Let water boil in a pan.
Lay the egg in with a spoon, so that it does not crack.
/ Lower the egg into the water gently.
For a soft egg wait four minutes and for a hard one ten.
/ Turn the sand-glass, or sing a song of {n} verses.
Hold it under cold water.
/ Take it out and rinse it with cold water.
Open it with a knife or, like {A}, with one blow.
/ Eat it with salt.

light a fire
Look for dry twigs, the thinner the better.
/ Collect twigs, bark and three thick logs.
Build a small tent of twigs over some paper.
/ Lay the paper down and the twigs over it.
Light the paper from the side where the wind comes from.
/ Strike a match and protect it with your hand.
Blow gently, and add larger pieces when it crackles.
/ Do not hurry: first small wood, then large.
Never leave it alone.
/ Keep a bucket of water beside it, as {A} always does.

wash a woollen jumper
Fill a bowl with water that is warm, not hot.
/ Take lukewarm water and a little soap.
Press the wool softly and do not rub it.
/ Move it about as if it were asleep.
Rinse it {n} times.
/ Change the water until it stays clear.
Roll it in a towel to get the water out.
/ Do not wring it.
Dry it flat, away from the sun.
/ Lay it out on a table, and keep the {pet} away from it.

bake bread
Mix flour, water, salt and yeast in a bowl.
/ You need {N} ounces of flour, water, salt and yeast.
Knead the dough until it is smooth.
/ Work it with both hands for ten minutes.
Cover it with a cloth and let it rise.
/ Now leave it in peace until it is twice as big.
Make a loaf of it and cut the top with a knife.
/ Shape it and lay it on a tin.
Bake it until it sounds hollow, and wait before you cut it.
/ Put it in a hot oven; {A} says that the smell tells you when it is done.

pack a suitcase
Lay everything on the bed that you think you need.
/ Make a list, as {A} does.
Put half of it back in the cupboard.
/ Take away every second thing.
Shoes go to the bottom, and the socks go inside them.
/ Heavy things first.
Roll the shirts instead of folding them.
/ Fill the corners with small things.
Sit on the lid and close it.
/ Leave room for what you will bring home.

cross a busy street
Stop at the kerb.
/ Stand still where drivers can see you.
Look right, look left and look right again.
/ Look both ways, and listen.
Wait until nothing comes.
/ Let the cars pass first.
Walk straight across, and do not run.
/ Go quickly, without turning round.
If you are old, do as {A} does: lift your stick.
/ On the other side you may talk again.

clean a window
Take a bucket of warm water and some vinegar.
/ Wait for a day without sun.
Wash the frame first and then the glass.
/ Wipe off the dust.
Draw the cloth from the top to the bottom.
/ Work from left to right in long strokes.
Rub it dry with an old newspaper.
/ Polish it with a dry cloth.
Look through it from the side, for there you see every streak.
/ Now you see what {A} sees: the neighbours.

catch a fish
Find a quiet place on the bank.
/ Get up before the sun does.
Put a worm on the hook.
/ Take bread if you are sorry for the worm.
Throw the line out and sit down.
/ Cast it where the water is dark.
Wait, and do not talk.
/ {A} says that waiting is the whole art.
Pull when the float goes under.
/ Take home only as many as you can eat.

make a snowman
Roll a ball until you cannot push it any further.
/ Begin with a small ball and roll it through the yard.
Make a second one, which is smaller, and lift it up.
/ The next ball goes on top.
The third one is the head.
/ Do not forget a head.
Take a carrot for the nose and coal for the eyes.
/ Give him eyes, a nose and a hat.
Say good night to him.
/ Lend him a scarf, as {A} did.

learn a poem
Read it aloud from beginning to end.
/ Listen to somebody who reads it well.
Take the first line and say it {n} times.
/ Cover the page and say the first line.
Add the next line, and always start again at the top.
/ Go on line by line.
Walk about while you do it.
/ Say it in the bath, where nobody hears you.
Sleep over it, and in the morning you know it.
/ Say it to {A} the next day.

dry herbs
Cut them in the morning when the dew is gone.
/ Pick them before they flower.
Tie them in small bunches.
/ Make bundles with a piece of string.
Hang them up under the roof with their heads down.
/ They need shade and air.
After two weeks rub the leaves from the stems.
/ When they rustle they are ready.
Keep them in a jar with a label.
/ Write the name on the jar, or you will end like {A}, with pepper in the tea.

make friends with a cat
Sit down on the floor.
/ Do nothing at all.
Look somewhere else.
/ Pretend to read.
Let it come and smell your hand.
/ Hold out one finger and wait.
Scratch it behind the ear, and stop before it has had enough.
/ Stroke it twice, not three times.
Do not tell the {pet} of {A}.
/ Now it owns you.

tie a parcel
Choose a box that is a little too big.
/ Wrap the thing in paper.
Fill the gaps with old newspaper.
/ Put straw round it.
Lay the string crosswise and pull it tight.
/ Take the string twice round each side.
Ask somebody to put a finger on the knot.
/ {A} lends a finger for the knot.
Write the address in large letters.
/ Stick on the label, and {N} stamps if it is heavy.

tell the weather
Look at the sky in the west.
/ Open the window before you open the newspaper.
Red in the evening means a fine day, and red in the morning means rain.
/ If the swallows fly low, take an umbrella.
Smell the air.
/ Ask your knee, if it is older than {N}.
See whether the smoke goes straight up.
/ Watch the cows: if they lie down, it will rain.
If all that does not help, ask {A}.
/ And if it comes out differently, you have learned something.

paint a door
Take off the handle and clean the wood.
/ Wash the door first.
Rub it down with sandpaper.
/ Smooth it with fine sandpaper and wipe away the dust.
Stir the paint for {n} minutes.
/ Open the tin and stir well.
Paint along the grain, thin and even.
/ Use little paint and much patience.
Hang up a note: wet paint.
/ Tell everybody, or it will have the hand of {A} on it for ever.

play hide-and-seek
One child stands at a tree and counts to {N}.
/ Somebody shuts his eyes and counts.
All the others run away and hide.
/ Meanwhile the others look for good places.
Then the seeker calls: I am coming!
/ When the counting is over, the seeker opens his eyes.
Whoever is found helps to look.
/ The first to be found is the next to count.
The last one wins.
/ {A} once won by going home.

polish shoes
Brush off the dirt when it is dry.
/ Take out the laces and brush the shoes.
Put on a little cream with a cloth.
/ Use one brush for the cream.
Wait {n} minutes.
/ Let it soak in.
Brush until you can see your face.
/ Take a second brush and go quickly.
Do it on {day}, and you will look well on Sunday.
/ {A} spits on them at the end, but nobody has to.
"""

MESSAGES = lines("""
    Hi {B}, are you free on {day}? {A}
    Hello {B}, I shall be {N} minutes late. Sorry! {A}
    {B}, could you bring {athing} tomorrow? Thanks, {A}
    Running late, start without me. {A}
    Thanks for the {thing}, {B}, it is just what I wanted. {A}
    The meeting on {day} is at {hour} instead. Can you tell the others? {A}
    Don't forget: dentist on {day} at {hour}. {A}
    Your appointment is on {day} at {hour}. Please call if you cannot come.
    I won {athing} in the raffle! Who would have thought it? {A}
    {B}, you won the prize for the best {thing}, well done! Come and fetch it on {day}. {A}
    I am free on {day} after {hour}. Shall we go for a walk? {A}
    Free on Friday? We could go to {T} together. {A}
    Is the seat next to you free on {day}? {A}
    Free kittens, {n} of them, ask {A} in {V}.
    There are free apples at our gate, take as many as you like. {A}
    Got home safely. Good night! {A}
    {B}, please call me when you have a minute. {A}
    Call me back tonight, it is nothing bad. {A}
    I left my {thing} at your house. May I fetch it on {day}? {A}
    Happy birthday, {B}! I wish you all the best, {A}
    Where are you? We are all waiting at the station. {A}
    The bus was full, I am taking the next one at {hour}. {A}
    Can you feed the {pet} on {day}? I am in {T} until {day2}. {A}
    Shopping list: bread, milk, {N} eggs and {fav}. Thank you! {A}
    Sale at the shop in {T}: all {things} for half the price until {day}.
    New at the market in {T}: {things} and {things2}. Come early!
    Buy two {things} and get one free, only this {day}, says the sign. Shall we go? {A}
    The library reminds you that {n} books are due on {day}.
    Your order of {n} {things} is ready. You can collect it from {hour}.
    The parcel has come. I have put it behind the {thing2}. {A}
    Did you see the news? The bridge in {T} is open again. {A}
    Lunch at {hour}? I have {fav}. {A}
    I have two tickets for the concert on {day}, one is yours if you like. {A}
    Sorry about yesterday, {B}. I was tired. {A}
    No school on {day}, the heating is broken.
    Please water the plants, and take the mail in. Back on {day}. {A}
    The doctor says it is only a cold. See you on {day}. {A}
    Could you lend me {athing}? You get it back on {day}. {A}
    I found {athing} in the street. Is it yours? {A}
    Bring your {thing}, it will be fun. {A}
    Tell {B} that the cake was wonderful! {A}
    We are {n} people on {day}, so we need a bigger table. {A}
    The lottery again: three right, no prize. {A}
    The prize of the draw is {athing}, and the winner is you, {B}! It costs nothing, just come. {A}
    Choir practice is cancelled, {B} has no voice. {A}
    Match on {day} at {hour}. We need {n} more players, are you in? {A}
    I paid {price} for the tickets; you owe me half. {A}
    The plumber can come on {day}. Will somebody be at home? {A}
    The bank is closed on {day}, I shall pay you on {day2}. {A}
    The train leaves at {hour}, platform {N}. Don't be late! {A}
    We had a lovely evening. Next time at our place, {B}! {A}
    Please reply by {day} if you want to come along. {A}
    Your ticket number is {N}. Please keep this message until {day}.
    The museum in {T} is free for children on {day}. Shall we take ours? {A}
    Win or lose, we eat at {hour}. {A}
    Can you text me the address of the {shop}? {A}
    Any news? I keep looking at the telephone. {A}
    I am in the garden, come round the back. {A}
    The key is under the third pot. {A}
    Yes. {A}
    All right, {hour} it is. {A}
    I can't find the {thing}. Did you take it with you? {A}
    A special offer in {T}: {N} {things} for {price}. Too many for me, do you want half? {A}
    The phone was off, I was asleep. What did you want? {A}
    Good luck for tomorrow, {B}! {A}
    I have sold the {thing2} at last, for {price}. Supper is on me! {A}
    Claim your seat early, the hall will be full. {A}
    Urgent: we have run out of {fav}! {A}
    """)

NEWS = """
{V}: {Thing} found after {n} years
{A}, {atrade}, has found {athing} that had been missing for {n} years.
/ {A}, the {trade} of {V}, could hardly believe it on {day}.
/ A find has surprised the people of {V}, and {A} the {trade} most of all.
It lay under the floor of the old school.
/ {A} found it behind a wall while repairing the kitchen.
/ The {pet} of {A} had been scratching at the place for days.
"I shall keep it," said {A}.
/ {A} wants to give it to the museum in {T}.
/ {A} is not sure what it is worth.

New bridge for {V}
The council has decided: {V} gets a new bridge in {month}.
/ On {day} the first stone of the new bridge in {V} was laid.
"It was high time," said {A}, {atrade}, who crosses the brook every day.
/ {A}, {atrade}, had collected {N} signatures.
It will be {N} yards long and cost {price}.
/ {A} will paint the railing {colour}.
The old one will become a bench.
/ Until then {A} goes on jumping.

Storm over {T}
A storm passed over {T} on {day} and tore off {n} roofs.
/ Hail as large as plums fell in {T} on {day}.
{A}, {atrade} from {V}, was on the road and hid under a cart.
/ "I have never seen such a thing," said {A}, {atrade} from {V}.
Nobody was hurt.
/ One cow was found in a tree, but it is well.
{A} has offered to help with the repairs.
/ {A} is still looking for {his} hat.

{A} wins first prize
At the fair in {T} the first prize went to {A}, {atrade} from {V}.
/ {A}, the {trade} from {V}, has won the great prize of {T}.
The jury praised {his} patience.
/ {N} people had taken part, but none was as quick as {A}.
The prize is {athing} and {price}.
/ {A} received {athing} made of silver.
"The {pet} helped," said {A}.
/ {A} thanked all of {V} and went home on foot.

School closed
The school in {V} stays closed until {day}.
/ There were no lessons in {V} on {day}.
"The reason is a swarm of bees," says {A}, {atrade}.
/ {A}, {atrade}, had found water in the cellar.
{A} was called, and came with a ladder.
/ "It is under control," said {A} from the roof.
The children are patient.
/ Nobody has complained so far, according to {A}.

Market day in {T}
More people than ever came to the market in {T} on {day}.
/ There was not a free place on the market of {T} this {day}.
{A}, {atrade}, sold {N} {things} before noon.
/ Most people wanted {things}, and {A}, {atrade}, had the best.
The price has gone up, and {A} is not sorry.
/ Even the mayor bought one from {A}.
The next market is in {month}.
/ In the evening it rained, and {A} packed up.

Train stopped by {apet}
The train to {T} stood still for {N} minutes on {day}.
/ On {day} the train from {V} was late for an unusual reason.
There was {apet} on the line, and it belonged to {A}, {atrade}.
/ {A}, {atrade} in {V}, had left the gate open.
{A} had to carry it away.
/ The driver got out and spoke to it, but it listened only to {A}.
{A} will pay for a new gate.
/ "It likes trains," said {A}.

Concert in {V}
The choir of {V} sang on {day} in a full church.
/ {A} and {B} gave a concert in {V} on {day}.
{A}, {atrade}, sang the solo, and {B}, {abtrade}, turned the pages.
/ The best voice was that of {A}, {atrade}, and {B}, {abtrade}, played the drum.
People clapped for {N} minutes, and {A} bowed to {B}.
/ {A} forgot a verse, but {B} saved the song.
It will be repeated in {month}.
/ {B} is looking for {n} more singers, and {A} for a new hat.

Neighbours settle an old quarrel
{A}, {atrade}, and {B}, {abtrade}, have made peace.
/ It took {n} years, but on {day} {A}, {atrade}, and {B}, {abtrade}, shook hands.
It had been about {athing}.
/ {A} had claimed the pear tree, and {B} had claimed the pears.
{B} took the first step with a pot of soup.
/ {A} sent {B} a letter, and {B} answered it.
Now {A} and {B} drink tea together on every {day2}.
/ {V} is quieter now, and a little bored.

A whale near {T}
Fishermen from {T} have seen a whale.
/ On {day} something large and grey swam past {T}.
{A}, {atrade} from {V}, took a photograph of it.
/ "At first I thought it was an island," said {A}, {atrade}.
It stayed for {n} hours.
/ It looked at {A}, and {A} looked at it.
Then it went back to the open sea.
/ {A} will go there again on {day2}.
"""

TALKS = """
{A}: Good morning, {B}.
/ {A}: Hello {B}! You are up early.
{B}: Good morning, {A}. What can I do for you?
/ {B}: Hello {A}. What is it?
{A}: I need {athing}, and quickly.
/ {A}: Have you got any {things}?
{B}: I have {n}, {A}. Would you like a large one or a small one?
/ {B}: Only one is left, {A}, and it is {colour}.
{A}: What does it cost?
/ {A}: A {colour2} one, please.
{B}: {price}, because it is you.
/ {B}: Nothing, {A}. You helped me with the fence.
{A}: Thank you, {B}!
/ {A}: I take it. See you on {day}.

{A}: {B}, have you seen my {thing}?
/ {A}: {B}, my {thing} is gone!
{B}: It was on the table yesterday, {A}.
/ {B}: No, {A}. When did you see it last?
{A}: On {day}, I think, when I was at the {shop}.
/ {A}: It was in my bag this morning, {B}, I am sure.
{B}: Then it must be in {T}. You changed trains there.
/ {B}: Perhaps the {pet} has it.
{A}: Wait. What is that on your head, {B}?
/ {A}: I have looked there {n} times.
{B}: Oh. I am sorry, {A}.
/ {B}: Look again, {A}. I will come and help.

{A}: What a {weather} day, {B}.
/ {A}: Do you think it will stay {weather}, {B}?
{B}: In {month} it is always like that, {A}.
/ {B}: My knee says that it will change by {day}.
{A}: I wanted to {job}.
/ {A}: I still have to {job}.
{B}: Then you had better wait, {A}.
/ {B}: Do it now, {A}, and do it quickly.
{A}: And you, {B}?
/ {A}: Will you help me, {B}?
{B}: I have {done} already.
/ {B}: I shall stay in bed with a book, {A}.

{A}: Are you coming to {T} on {day}, {B}?
/ {A}: There is a dance in {T} on {day}. Will you come, {B}?
{B}: How do we get there, {A}?
/ {B}: I should like to, {A}, but I have no ticket.
{A}: By bus, at {hour}.
/ {A}: I have two tickets, {B}, and one is free.
{B}: Then I will bring {fav}.
/ {B}: What shall I wear, {A}? The {colour} coat?
{A}: Bring {athing} too.
/ {A}: Whatever you like, {B}.
{B}: Good. At {hour} in front of the church.
/ {B}: I am looking forward to it, {A}.

{A}: You look tired, {B}.
/ {A}: {B}, what has happened?
{B}: I did not sleep, {A}. The {bpet} was restless.
/ {B}: I have {done}, {A}, and it took all night.
{A}: Poor {B}. Sit down.
/ {A}: You should see a doctor, {B}.
{B}: It is nothing, {A}. A cup of tea will do.
/ {B}: Have you anything to eat, {A}?
{A}: I have some {bfav} left, if you like.
/ {A}: I will make something hot.
{B}: You are a friend, {A}.
/ {B}: That is what I had hoped, {A}.
"""

LETTER_STARTS = lines("""
    {A} wrote to {B}: // Dear {B},
    A letter from {A} in {V} to {B} in {BV}. // Dear {B},
    Dear {B}, it is {A} who is writing to you,
    Dear {B}, this is {A} in {V}.
    My dear {B}, here is your old friend {A}.
    Hello {B}, {A} here.
    {V}, in {month} // Dear {B}, you have waited for a letter from {A}, and here it is.
    {A} to {B}, with love from {V}. // Dear {B},
    """)
LETTER_LINES = lines("""
    Thank you for your letter.
    I hope you are well.
    It has been {weather} here since {day}.
    I am writing this at the kitchen table, and the {pet} is sitting on the paper.
    How is your {bpet}?
    There is always work for {atrade}, so I have little time.
    On {day} I went to {T} and came home with {athing}.
    You asked me about the {thing}: it is mended.
    I have {done}, and it took me all of {day}.
    I still have to {job}, but first I am writing to you.
    The neighbours ask after you, {B}.
    {B}, do you remember the summer in {T}?
    We had {fav} on {day}, and I thought of you.
    I shall send you {bfav}, for I know what you like.
    Now I must tell you something that I have learned.
    Yesterday I found {athing} in the attic.
    I bought {n} {things} on the market, and now I do not know where to put them.
    Nothing much happens in {V}, {B}, but it happens slowly.
    There are things one only notices in a letter.
    Will you come in {month}, {B}? The bed is made.
    """)
LETTER_ENDS = lines("""
    Yours, {A}
    With love, {A}
    Come soon! Your {A}
    Write back, {B}! Your friend {A}
    Greetings from {V}, {A}
    The post is going, so I must stop. {A}
    Best wishes to you and the {bpet}, {A}
    Until {month}, {A}
    P.S. Bring the {thing}. {A}
    """)

DIARY_STARTS = lines("""
    From the diary of {A}, {atrade}
    Diary of {A}, {day}
    {day}, {V}. {A} writes:
    {A}'s diary, in {month}
    Today I, {A}, have a new notebook.
    I am {A}, and this is my diary.
    """)
DIARY_VISITS = lines("""
    I had a visitor, {B} the {btrade}.
    {B} the {btrade} is here again.
    There is news of {B}, my friend in {BV}.
    I am still thinking of what {B} the {btrade} said.
    Everything I write down today has to do with {B}.
    {B}, who is {abtrade}, came by in the morning.
    """)
DIARY_LINES = lines("""
    Slept badly, because the {pet} wanted to go out.
    It was {weather} all day.
    In the morning I {did}.
    I {did}, and then I was tired.
    At noon I had {fav}.
    {B} came and stayed until {hour}.
    {B} told me about {T}.
    I met {B} in the street, and {B} had {athing} under the arm.
    Lost my {thing} and found it again.
    Bought {n} {things} for {price}.
    Tomorrow I must {job}.
    I should like to {job}, but nobody helps me.
    {B} says that I work too much.
    Wrote a letter to {T} and tore it up.
    The {pet} brought me {athing}, heaven knows from where.
    A good day for {atrade}: {n} people came.
    I do not know why I write this down.
    {B} laughed about my {thing}.
    On {day} I shall try again.
    To bed at {hour}.
    """)

ERRANDS = lines("""
    {A} took {athing} to the {shop}.
    Then {A} {did}.
    After that {A} wanted to {job}.
    {A} sat down for a while with the {pet}.
    {A} ate {fav} by the window.
    {A} wrote the word "{thing}" on a list and crossed it out again.
    {A} put {n} {things} in a row.
    It was {weather}, and {A} stayed indoors.
    The bell rang, but {A} did not open.
    {A} looked for the {thing2} and found the {thing}.
    """)

INVENTORY_STARTS = lines("""
    {A} was clearing the attic and made a list.
    What {A} took along on the journey to {T}:
    In the shop of {A} in {V} you can find all this.
    The things that {A} lent to the school in {V}:
    {A} emptied all pockets and counted.
    When {A} moved house, everything was written down.
    This is what lay on the market stall of {A} on {day}.
    The lost property office in {T} gave {A} a long list.
    {A} the {trade} counts what is in the cellar, once a year.
    """)

LESSON_STARTS = lines("""
    {A} asked {B} some questions.
    {A} was teaching {B}, and {B} wanted to learn.
    {A} and {B} had a quiz, as on every {day}.
    It was raining, so {A} and {B} asked each other questions.
    {B} had to answer whatever {A} asked.
    On the train to {T} {A} and {B} played at questions.
    {A} held up one card after the other, and {B} answered.
    Questions from {A}, answers from {B}.
    {A} prepared {B} for the examination.
    """)
LESSON_ENDS = lines("""
    "Very good, {B}," said {A}.
    {B} had earned {bfav}.
    And then the bell rang.
    {A} closed the book.
    "Enough for today," said {A}, and {B} was glad.
    {B} asked for more, but {A} was tired.
    All the answers were right, and {A} was proud of {B}.
    """)

NOTE_STARTS = lines("""
    From the notebook of {A}
    {A} wrote these cards to learn by heart:
    Words and things that {A} wants to keep in mind
    On the kitchen wall of {A} hang small notes:
    Notes of {A} the {trade}, written on {aday}
    A page from the almanac of {V}, copied by {A}
    """)

TOWN_TITLES = ("{x}", "{x}: a short guide", "The town of {x}", "{x}, town", "A visit to {x}")
ANIMAL_TITLES = ("{X}", "The {x}", "About the {x}", "Animals: the {x}", "{X}, an animal")
PERSON_TITLES = ("{x}", "Who is {x}?", "{x}, a portrait", "People of {V}: {x}")
PLAIN_TITLES = ("Did you know?", "Small facts", "From the almanac", "Things worth knowing")

# A text of a few sentences to answer questions from: sentence, question, answer, who is who.
READINGS = (
    ("{A} put the {thing} on the {place}.", "Where did {A} put the {thing}?", "on the {place}"),
    ("{A} bought {athing} for {price}.", "What did {A} pay for the {thing}?", "{price}"),
    ("{A} bought {n} {things} in {T}.", "Where did {A} buy the {things}?", "in {T}"),
    ("{A} went to {T} on {day}.", "When did {A} go to {T}?", "on {day}"),
    ("{A} went to {T} by {vehicle}.", "How did {A} go to {T}?", "by {vehicle}"),
    ("{A} gave the {thing} to {B}.", "To whom did {A} give the {thing}?", "to {B}"),
    ("{A} gave the {thing} to {B}.", "Who gave the {thing} to {B}?", "{A}"),
    ("{A} found {n} {things} on the {place}.", "How many {things} did {A} find?", "{n}"),
    ("{A} painted the {thing} {colour}.", "What colour is the {thing}?", "{colour}"),
    ("{A} has a {colour} coat.", "What colour is the coat of {A}?", "{colour}"),
    ("{A} borrowed the {thing} from {B}.", "From whom did {A} borrow the {thing}?", "from {B}"),
    ("{A} ate {fav} at {hour}.", "What did {A} eat?", "{fav}"),
    ("{A} got up at {hour}.", "When did {A} get up?", "at {hour}"),
    ("{A} lost the {thing} in {T}.", "What did {A} lose in {T}?", "the {thing}"),
    ("{A} {did}.", "What did {A} do?", "{he} {did}"),
    ("{A} {did}.", "Who {did}?", "{A}"),
    ("{A} waited for {B} until {hour}.", "For whom did {A} wait?", "for {B}"),
    ("{A} is sad, as the {thing} is broken.", "Why is {A} sad?", "because the {thing} is broken"),
)
READING_STARTS = lines("""
    Read this and answer: it is about {A} and {B}.
    A short text about {A} and {B}.
    {A} and {B} had a busy day.
    What {A} and {B} did on {day}
    Listen well, for there will be questions about {A} and {B}.
    """)

# The same thing said in the active and in the passive voice: {active} and {passive} are clauses.
PASSIVES = lines("""
    {Active}. {Passive}, and by nobody else.
    {Passive}. Yes, {active}.
    {Active}, so we can say: {passive}.
    It is true that {passive}: {active} on {day}.
    Somebody asked who did it. {Active}. {Passive} in less than an hour.
    {Passive} on {day}, for {active} whenever there was time.
    {Active}. In the newspaper it said: {passive}.
    "{Passive}," wrote the clerk, because {active}.
    {Active}, or in other words, {passive}.
    """)
PASSIVE_QUESTIONS = lines("""
    Say it in the passive: {Active}.
    Put this into the passive voice: {Active}.
    {Active}. How can you say this with the word by?
    Turn the sentence round: {Active}.
    """)
QUESTION_QUESTIONS = lines("""
    Make a question of this: {statement}
    Turn this into a question: {statement}
    {statement} How would you ask that?
    Write it as a question: {statement}
    """)
REVERSALS = lines("""
    {A} said {list}, and {B} said it backwards: {reversed}.
    Forwards it is {list}, and backwards it is {reversed}.
    {A} packed {list} and unpacked them the other way round: {reversed}.
    The order was {list}; in the mirror it was {reversed}.
    {A} wrote {list} on the board, and from the end it read {reversed}.
    """)
REVERSE_QUESTIONS = lines("""
    Say this backwards: {list}
    Reverse the order: {list}
    Turn the list round: {list}
    Begin at the end: {list}
    """)
PATTERNS = lines("""
    {A} counted: {list}, {y}.
    After {list} comes {y}.
    {list}, and then {y}: so it goes on, said {A}.
    {A} began with {list}, and {B} went on with {y}.
    On the fence stood {list}, and the next one was {y}.
    """)
PATTERN_QUESTIONS = lines("""
    What comes next: {list}?
    Complete the pattern: {list}
    How does it go on: {list}?
    {list}, and then?
    """)
QUESTIONS_IN_TALK = lines("""
    "{Statement}" "{question}" somebody asked. Yes, so it was.
    {question} That was what everyone wanted to know. And yes: {statement}
    {statement} "{question}" they ask again and again, and the answer is yes.
    "{question}" asked the child. The answer was short: "{statement}"
    """)

# How a letter, a diary or a talk brings in a clause.
LETTER_FRAMES = lines("""
    {C}.
    {C}.
    I have learned that {c}.
    Did you know, {B}, that {c}?
    You were right, {B}: {c}.
    I read in the almanac that {c}.
    They say here that {c}.
    It made me think of something: {c}.
    Tell the children that {c}.
    You asked me, {B}, and the answer is that {c}.
    """)
DIARY_FRAMES = lines("""
    {C}.
    {C}.
    Learned today that {c}.
    Must remember: {c}.
    I did not know that {c}.
    Somebody on the bus said that {c}.
    Read in the newspaper that {c}.
    Thought about it again: {c}.
    """)
TALK_FRAMES = lines("""
    {A}: Did you know that {c}? // {B}: Of course I did, {A}.
    {A}: I have heard that {c}. // {B}: Quite right, {A}. {C}.
    {B}: {C}. // {A}: That is true, {B}.
    {A}: Is it true that {c}? // {B}: It is, {A}.
    {B}: My aunt always says that {c}. // {A}: Your aunt is right, {B}.
    {A}: They told me that {c}. // {B}: Who told you, {A}?
    {A}: {C}, is that not so, {B}? // {B}: So I learned it, {A}.
    {B}: Let me tell you something, {A}: {c}. // {A}: I shall not forget it, {B}.
    """)
